import type { Container, KubeObject, Pod, PodSpec } from '@naru/api';
import type { Known } from './api';

type EnvVar = NonNullable<Container['env']>[number];

export const image = 'naru.dev/conformance:v1';

/** What the cases find in their namespace. */
export const caseObjects: [resource: string, KubeObject & Record<string, unknown>][] = [
  ['configmaps', { metadata: { name: 'letters' }, data: { data_1: 'value-1', data_2: 'value-2', data_3: 'value-3' } }],
  ['secrets', { metadata: { name: 'letters' }, stringData: { data_1: 'secret-1', data_2: 'secret-2' } }],
  ['services', { metadata: { name: 'fooservice' }, spec: { selector: { app: 'foo' }, ports: [{ port: 8765 }] } }],
];

/** A pod that upstream's tests make, how far it must come, and what must be true then. */
export interface PodCase {
  name: string;
  spec: PodSpec;
  /** The default: its containers have ended. */
  until?: (pod: Known<Pod>) => unknown;
  /** The default: Succeeded. */
  phase?: string;
  /** Lines, or what matches, that its log has. */
  output?: (string | RegExp)[] | ((pod: Known<Pod>) => string[]);
  check?: (pod: Known<Pod>) => void;
}

/** A pod of one container that is not restarted. */
export function once(container: Partial<Container>, more: Partial<PodSpec> = {}): PodSpec {
  return { restartPolicy: 'Never', ...more, containers: [{ name: 'main', image, ...container }] };
}

export const script = (text: string, container: Partial<Container> = {}): Partial<Container> => ({
  command: ['sh', '-c', text],
  ...container,
});
const field = (name: string, fieldPath: string): EnvVar => ({ name, valueFrom: { fieldRef: { fieldPath } } });
const resource = (name: string, path: string): EnvVar => ({
  name,
  valueFrom: { resourceFieldRef: { resource: path } },
});
const fromFile = (key: string, optional = false): EnvVar => ({
  name: key,
  valueFrom: { fileKeyRef: { volumeName: 'data', path: 'file.env', key, optional } },
});
const amounts = ['CPU_LIMIT', 'MEMORY_LIMIT', 'CPU_REQUEST', 'MEMORY_REQUEST'];
const amountVariables = ['limits.cpu', 'limits.memory', 'requests.cpu', 'requests.memory'].map((path, index) =>
  resource(amounts[index] ?? '', path),
);
const [mainState, firstInit] = [
  (pod: Pod) => pod.status?.containerStatuses?.[0],
  (pod: Pod) => pod.status?.initContainerStatuses?.[0],
];
const refused = (pod: Pod): boolean => mainState(pod)?.state?.waiting?.reason === 'CreateContainerConfigError';
const initialized = (pod: Pod) => pod.status?.conditions?.find(({ type }) => type === 'Initialized');

const imageCases: PodCase[] = [
  { name: 'without command and arguments has those of the image', spec: once({}), output: ['default arguments'] },
  {
    name: 'with arguments has them in place of the image’s',
    spec: once({ args: ['other', 'words'] }),
    output: ['other words'],
  },
  {
    name: 'with a command has neither command nor arguments of the image',
    spec: once({ command: ['echo', 'command'] }),
    output: ['command'],
  },
  {
    name: 'with a command and arguments has those',
    spec: once({ command: ['echo'], args: ['command', 'and arguments'] }),
    output: ['command and arguments'],
  },
];

const expansionEnv = [{ name: 'TEST_VAR', value: 'test-value' }];
const subPathPod = (value: string, subPathExpr: string, text: string): PodSpec =>
  once(
    script(text, {
      env: [field('POD_NAME', 'metadata.name'), { name: 'VALUE', value }],
      volumeMounts: [
        { name: 'data', mountPath: '/below', subPathExpr },
        { name: 'data', mountPath: '/whole' },
      ],
    }),
    { volumes: [{ name: 'data', emptyDir: {} }], terminationGracePeriodSeconds: 0 },
  );
const expansionCases: PodCase[] = [
  {
    name: 'composes variables of earlier ones',
    spec: once(
      script('env', {
        env: [
          { name: 'FOO', value: 'foo-value' },
          { name: 'BAR', value: 'bar-value' },
          { name: 'FOOBAR', value: '$(FOO);;$(BAR)' },
        ],
      }),
    ),
    output: ['FOO=foo-value', 'BAR=bar-value', 'FOOBAR=foo-value;;bar-value'],
  },
  {
    name: 'expands variables in its command',
    spec: once(script('TEST_VAR=wrong echo "$(TEST_VAR)"', { env: expansionEnv })),
    output: ['test-value'],
  },
  {
    name: 'expands variables in its arguments',
    spec: once({ command: ['sh', '-c'], args: ['TEST_VAR=wrong echo "$(TEST_VAR)"'], env: expansionEnv }),
    output: ['test-value'],
  },
  {
    name: 'expands variables in a subPathExpr and writes there',
    spec: subPathPod('', '$(POD_NAME)', 'test -d "/whole/$POD_NAME" && touch /below/made && ls "/whole/$POD_NAME"'),
    output: ['made'],
  },
  {
    name: 'is not started for a subPathExpr with backticks that leads out',
    spec: subPathPod('`..`/..', '$(VALUE)', 'true'),
    until: refused,
    phase: 'Pending',
  },
  {
    name: 'is not started for a subPathExpr that is absolute',
    spec: subPathPod('/tmp', '$(VALUE)', 'true'),
    until: refused,
    phase: 'Pending',
  },
];

export const limits = { cpu: '1250m', memory: '64Mi' };
/** Any printable character but "=" may be in a name. */
const prefixes = ['p-', '1-', '#_', '$_', '.', 'A B '];
const environmentCases: PodCase[] = [
  {
    name: 'knows its name, namespace, uid and addresses',
    spec: once(
      script('env', {
        env: [
          field('POD_NAME', 'metadata.name'),
          field('POD_NAMESPACE', 'metadata.namespace'),
          field('POD_UID', 'metadata.uid'),
          field('POD_IP', 'status.podIP'),
          field('HOST_IP', 'status.hostIP'),
          field('HOST_IPS', 'status.hostIPs'),
        ],
      }),
    ),
    output: ({ metadata, status }) => [
      `POD_NAME=${metadata.name}`,
      `POD_NAMESPACE=${metadata.namespace}`,
      `POD_UID=${metadata.uid}`,
      `POD_IP=${status?.podIP}`,
      `HOST_IP=${status?.hostIP}`,
      `HOST_IPS=${status?.hostIPs?.map(({ ip }) => ip).join(',')}`,
    ],
  },
  {
    name: 'knows its limits and requests',
    spec: once(
      script('env', { env: amountVariables, resources: { limits, requests: { cpu: '250m', memory: '32Mi' } } }),
    ),
    output: ['CPU_LIMIT=2', 'MEMORY_LIMIT=67108864', 'CPU_REQUEST=1', 'MEMORY_REQUEST=33554432'],
  },
  {
    name: 'takes what the node has for limits that it does not have',
    spec: once(script('env', { env: amountVariables.slice(0, 2) })),
    output: [/^CPU_LIMIT=[1-9]\d*$/m, /^MEMORY_LIMIT=[1-9]\d{7,}$/m],
  },
  {
    name: 'has variables from a file that an init container has written, and does not see the file',
    spec: {
      ...once(
        script('env; ls /data || echo unseen', {
          env: [fromFile('ADDRESS'), fromFile('ABSENT', true)],
        }),
        { volumes: [{ name: 'data', emptyDir: {} }] },
      ),
      initContainers: [
        {
          name: 'write',
          image,
          command: ['sh', '-c', `echo "ADDRESS='somewhere'" > /data/file.env`],
          volumeMounts: [{ name: 'data', mountPath: '/data' }],
        },
      ],
    },
    output: ['ADDRESS=somewhere', 'unseen'],
  },
  {
    name: 'has a variable from a ConfigMap and one from a Secret',
    spec: once(
      script('env', {
        env: [
          { name: 'CONFIG_DATA', valueFrom: { configMapKeyRef: { name: 'letters', key: 'data_1' } } },
          { name: 'SECRET_DATA', valueFrom: { secretKeyRef: { name: 'letters', key: 'data_1' } } },
        ],
      }),
    ),
    output: ['CONFIG_DATA=value-1', 'SECRET_DATA=secret-1'],
  },
  ...(['configMapRef', 'secretRef'] as const).map((ref): PodCase => {
    const [kind, value] = ref === 'configMapRef' ? ['ConfigMap', 'value'] : ['Secret', 'secret'];
    return {
      name: `has all variables of a ${kind}, with various prefixes`,
      // A shell would keep those that it cannot name to itself.
      spec: once({
        command: ['env'],
        envFrom: ['', ...prefixes].map(prefix => ({ prefix, [ref]: { name: 'letters' } })),
      }),
      output: ['', ...prefixes].flatMap(prefix => [`${prefix}data_1=${value}-1`, `${prefix}data_2=${value}-2`]),
    };
  }),
  {
    name: 'has the seven variables of a Service that is older than it',
    // The node may hear of the Service after the pod: then the container is started again, and finds it.
    spec: {
      ...once(script('[ -n "$FOOSERVICE_SERVICE_HOST" ] || exit 1; env')),
      restartPolicy: 'OnFailure',
    },
    output: [
      /^FOOSERVICE_SERVICE_HOST=([\d.]+)$/m,
      'FOOSERVICE_SERVICE_PORT=8765',
      /^FOOSERVICE_PORT=tcp:\/\/[\d.]+:8765$/m,
      'FOOSERVICE_PORT_8765_TCP_PORT=8765',
      'FOOSERVICE_PORT_8765_TCP_PROTO=tcp',
      /^FOOSERVICE_PORT_8765_TCP=tcp:\/\/[\d.]+:8765$/m,
      /^FOOSERVICE_PORT_8765_TCP_ADDR=[\d.]+$/m,
    ],
  },
];

/** Runs node with the set-user-id bit of root, as a user who is not root. */
const escalating = (allowPrivilegeEscalation: boolean): PodSpec => ({
  ...once(
    {
      command: ['/data/node', '-p', '`effective uid ${process.geteuid()}`'],
      securityContext: { runAsUser: 1000, allowPrivilegeEscalation },
      volumeMounts: [{ name: 'data', mountPath: '/data' }],
    },
    { volumes: [{ name: 'data', emptyDir: {} }] },
  ),
  initContainers: [
    {
      name: 'copy',
      image,
      ...script('cp /bin/node /data/node && chmod 4755 /data/node'),
      volumeMounts: [{ name: 'data', mountPath: '/data' }],
    },
  ],
});
const securityCases: PodCase[] = [
  {
    name: 'runs as user 65534',
    spec: once(script('id -u', { securityContext: { runAsUser: 65534 } })),
    output: ['65534'],
  },
  {
    name: 'runs as the user and group of its pod',
    spec: once(script('id'), { securityContext: { runAsUser: 1001, runAsGroup: 2002 } }),
    output: [/uid=1001 gid=2002/],
  },
  {
    name: 'runs as a user and group of its own',
    spec: once(script('id', { securityContext: { runAsUser: 1001, runAsGroup: 2002 } }), {
      securityContext: { runAsUser: 1, runAsGroup: 2 },
    }),
    output: [/uid=1001 gid=2002/],
  },
  {
    name: 'that is not privileged makes no network interfaces',
    spec: once(script('ip link add other type bridge 2>&1 || true', { securityContext: { privileged: false } })),
    output: [/Operation not permitted/],
  },
  {
    name: 'writes to its root, when that is not read-only',
    spec: once(script('touch /file', { securityContext: { readOnlyRootFilesystem: false } })),
  },
  {
    name: 'does not write to a read-only root',
    spec: once(script('echo test > /file', { securityContext: { readOnlyRootFilesystem: true } })),
    phase: 'Failed',
    output: [/can't create \/file: Read-only file system/],
  },
  {
    name: 'stays who it is when privilege escalation is not allowed',
    spec: escalating(false),
    output: ['effective uid 1000'],
  },
  {
    name: 'becomes root by a program that may when it is allowed',
    spec: escalating(true),
    output: ['effective uid 0'],
  },
  {
    name: 'has the safe sysctls of its pod',
    spec: once(script('cat /proc/sys/kernel/shm_rmid_forced /proc/sys/net/ipv4/ping_group_range'), {
      securityContext: {
        sysctls: [
          { name: 'kernel.shm_rmid_forced', value: '1' },
          { name: 'net/ipv4/ping_group_range', value: '0 200' },
        ],
      },
    }),
    output: ['1', /^0\s200$/m],
  },
  {
    name: 'is not run with an unsafe sysctl that its node does not allow',
    spec: once(script('true'), { securityContext: { sysctls: [{ name: 'kernel.msgmax', value: '10000000' }] } }),
    phase: 'Failed',
    until: ({ status }) => status?.phase === 'Failed',
    check: ({ status }) => expect(status?.reason).toBe('SysctlForbidden'),
  },
];

const message = (exitCode: number, expected: string | undefined) => (pod: Pod) => {
  const ended = mainState(pod)?.state?.terminated;
  expect(ended).toMatchObject({ exitCode, reason: exitCode === 0 ? 'Completed' : 'Error' });
  expect(ended?.message).toBe(expected);
};
const fallback = { terminationMessagePolicy: 'FallbackToLogsOnError' as const };
/** Fails at first, then ends well, then goes on. */
const thrice = `echo again >> /counts/file; case $(wc -l < /counts/file) in 1) exit 1;; 2) exit 0;; esac; exec sleep 1000`;
const restarting = (restartPolicy: 'Always' | 'OnFailure' | 'Never'): PodSpec => ({
  ...once(script(thrice, { volumeMounts: [{ name: 'counts', mountPath: '/counts' }] })),
  volumes: [{ name: 'counts', emptyDir: {} }],
  terminationGracePeriodSeconds: 0,
  restartPolicy,
});
const endCases: PodCase[] = [
  {
    name: 'says a last word in a file of its own, as a user who is not root',
    spec: once(
      script('printf DONE > /dev/termination-custom-log', {
        terminationMessagePath: '/dev/termination-custom-log',
        securityContext: { runAsUser: 1000 },
      }),
    ),
    check: message(0, 'DONE'),
  },
  {
    name: 'that fails has said its last word in its log',
    spec: once(script('printf DONE; exit 1', fallback)),
    phase: 'Failed',
    check: message(1, 'DONE'),
  },
  {
    name: 'that ends well has no last word in its log',
    spec: once(script('printf DONE', fallback)),
    check: message(0, undefined),
  },
  {
    name: 'that ends well has said its last word in the file',
    spec: once(script('printf OK > /dev/termination-log; printf DONE', fallback)),
    check: message(0, 'OK'),
  },
  {
    name: 'is started again whatever its end was with the policy Always',
    spec: restarting('Always'),
    until: pod => mainState(pod)?.restartCount === 2 && mainState(pod)?.ready,
    phase: 'Running',
    check: pod => expect(mainState(pod)?.state?.running).toBeDefined(),
  },
  {
    name: 'is started again after a failure only with the policy OnFailure',
    spec: restarting('OnFailure'),
    check: pod => expect(mainState(pod)).toMatchObject({ restartCount: 1, ready: false, state: { terminated: {} } }),
  },
  {
    name: 'is not started again with the policy Never',
    spec: restarting('Never'),
    phase: 'Failed',
    check: pod => expect(mainState(pod)).toMatchObject({ restartCount: 0, ready: false, state: { terminated: {} } }),
  },
  {
    name: 'that always fails has a reason for its end',
    spec: { ...once({ command: ['false'] }), restartPolicy: 'Always' },
    until: pod => mainState(pod)?.state?.terminated ?? mainState(pod)?.lastState?.terminated,
    phase: 'Running',
    check: pod => {
      const { state, lastState } = mainState(pod) ?? {};
      expect((state?.terminated ?? lastState?.terminated)?.reason).toBe('Error');
    },
  },
];

const init = (...commands: string[]): Partial<PodSpec> => ({
  initContainers: commands.map((command, index) => ({ name: `init${index + 1}`, image, command: [command] })),
});
const pause: Partial<Container> = { command: ['sleep', '1000'] };
const endedWell = [1, 2].map(index => ({ name: `init${index}`, ready: true, state: { terminated: { exitCode: 0 } } }));
const waitsForInit = [{ name: 'main', state: { waiting: { reason: 'PodInitializing' } } }];
const initCases: PodCase[] = [
  {
    name: 'that is not restarted runs after its init containers',
    spec: once({ command: ['true'] }, init('true', 'true')),
    check: pod => {
      expect(initialized(pod)?.status).toBe('True');
      expect(pod.status?.initContainerStatuses).toMatchObject(endedWell);
    },
  },
  {
    name: 'that is restarted runs after its init containers',
    spec: { ...once(pause, { ...init('true', 'true'), terminationGracePeriodSeconds: 0 }), restartPolicy: 'Always' },
    until: pod => mainState(pod)?.state?.running,
    phase: 'Running',
    check: pod => {
      expect(initialized(pod)?.status).toBe('True');
      expect(pod.status?.initContainerStatuses).toMatchObject(endedWell);
    },
  },
  {
    name: 'that is restarted waits for an init container that fails again and again',
    spec: { ...once(pause, init('false', 'true')), restartPolicy: 'Always' },
    until: pod => (firstInit(pod)?.restartCount ?? 0) >= 2,
    phase: 'Pending',
    check: ({ status }) => {
      expect(status?.containerStatuses).toMatchObject(waitsForInit);
      expect(status?.initContainerStatuses?.[0]?.lastState?.terminated?.exitCode).toBe(1);
      expect(status?.initContainerStatuses?.[1]?.state?.waiting?.reason).toBe('PodInitializing');
      expect(status?.conditions).toContainEqual(
        expect.objectContaining({
          type: 'Initialized',
          status: 'False',
          reason: 'ContainersNotInitialized',
          message: 'containers with incomplete status: [init1 init2]',
        }),
      );
    },
  },
  {
    name: 'that is not restarted fails with its init container',
    spec: once(pause, init('true', 'false')),
    until: ({ status }) => status?.phase === 'Failed',
    phase: 'Failed',
    check: ({ status }) => {
      expect(status?.containerStatuses).toMatchObject(waitsForInit);
      expect(status?.initContainerStatuses?.[1]?.state?.terminated?.exitCode).toBe(1);
      expect(status?.conditions).toContainEqual(
        expect.objectContaining({
          type: 'Initialized',
          status: 'False',
          reason: 'ContainersNotInitialized',
          message: 'containers with incomplete status: [init2]',
        }),
      );
    },
  },
];

const nodeCases: PodCase[] = [
  { name: 'has both its outputs in its log', spec: once(script('echo out; echo err >&2')), output: ['out', 'err'] },
  {
    name: 'has the aliases of its pod in /etc/hosts',
    spec: once(script('cat /etc/hosts'), { hostAliases: [{ ip: '123.45.67.89', hostnames: ['foo', 'bar'] }] }),
    output: ['# Kubernetes-managed hosts file.', '123.45.67.89\tfoo\tbar'],
  },
  {
    name: 'has the hosts file of the node, and says so, on the node’s network',
    spec: once(script('cat /etc/hosts'), { hostNetwork: true }),
    output: ['# Kubernetes-managed hosts file (host network).'],
  },
  {
    name: 'keeps the hosts file that it brings',
    spec: once(
      script('grep -c Kubernetes-managed /etc/hosts || true', {
        volumeMounts: [{ name: 'own', mountPath: '/etc/hosts' }],
      }),
      { volumes: [{ name: 'own', hostPath: { path: '/etc/hosts', type: 'File' } }] },
    ),
    output: ['0'],
  },
  {
    name: 'has the name servers of its dnsConfig alone with the policy None',
    spec: once(script('cat /etc/resolv.conf'), {
      dnsPolicy: 'None',
      dnsConfig: {
        nameservers: ['1.1.1.1'],
        searches: ['resolv.conf.local'],
        options: [{ name: 'ndots', value: '2' }],
      },
    }),
    output: ['search resolv.conf.local', 'nameserver 1.1.1.1', 'options ndots:2'],
  },
];

export const podCases: PodCase[] = [
  ...imageCases,
  ...expansionCases,
  ...environmentCases,
  ...securityCases,
  ...endCases,
  ...initCases,
  ...nodeCases,
];
