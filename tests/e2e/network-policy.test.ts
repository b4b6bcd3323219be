import { eventually } from '@naru/testing';
import { apply, ask, createNamespace, kubectl } from './cluster';

/** Two namespaces with a pod on each of two nodes, as upstream's netpol tests have three. */
const own = 'policy-own';
const other = 'policy-other';
const nodes = { a: 'worker-1', b: 'worker-2' } as const;
type PodName = keyof typeof nodes;
interface Place {
  namespace: string;
  pod: PodName;
}
const places: Place[] = [own, other].flatMap(namespace => [
  { namespace, pod: 'a' as const },
  { namespace, pod: 'b' as const },
]);

const pod = (name: string, node: string, command: string[] = ['/bin/serve']): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { pod: ${name} } }
spec:
  terminationGracePeriodSeconds: 0
  restartPolicy: Never
  nodeSelector: { kubernetes.io/hostname: ${node} }
  containers:
    - name: main
      image: naru.dev/web:v1
      command: ${JSON.stringify(command)}
      ports: [{ name: http, containerPort: 8080 }]
      readinessProbe: { httpGet: { path: /healthz, port: http }, periodSeconds: 1, failureThreshold: 1 }
---`;

const addresses = new Map<string, string>();
const addressOf = (place: Place): string => addresses.get(nameOf(place)) ?? '';

/** True when there is an answer within so many seconds. */
async function connects(from: Place, to: Place, seconds: number): Promise<boolean> {
  const url = `http://${addressOf(to)}:8080/healthz`;
  const command = ['timeout', `${seconds}`, 'wget', '-q', '-O', '/dev/null', url];
  return (await kubectl(['-n', from.namespace, 'exec', from.pod, '--', ...command], { anyCode: true })).code === 0;
}

const nameOf = ({ namespace, pod: name }: Place): string => `${namespace}/${name}`;

/** Waits until exactly these reach each other, one line for each asking pod: `policy-own/a -> policy-own/b policy-other/a`. */
const expectReachability = (expected: string[]): Promise<void> =>
  eventually(async () => {
    const lines = await Promise.all(
      places.map(async (from, line) => {
        const others = places.filter(to => to !== from);
        // Who is to be shut off need not be given the time that a busy machine takes to answer.
        const isExpected = (to: Place): boolean => expected[line]?.split(' ').slice(2).includes(nameOf(to)) ?? false;
        const open = await Promise.all(others.map(to => connects(from, to, isExpected(to) ? 10 : 2)));
        const names = others.filter((_, index) => open[index]).map(nameOf);
        return `${nameOf(from)} -> ${names.join(' ')}`;
      }),
    );
    expect(lines).toEqual(expected);
  });

const everybody = places.map(from => {
  const others = places.filter(to => to !== from).map(nameOf);
  return `${nameOf(from)} -> ${others.join(' ')}`;
});

const policy = (name: string, spec: object): Promise<unknown> =>
  apply(
    JSON.stringify({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name, namespace: own },
      spec,
    }),
  );

beforeAll(async () => {
  for (const namespace of [own, other]) {
    await createNamespace(namespace);
    for (const [name, node] of Object.entries(nodes)) await apply(pod(name, node), '-n', namespace);
  }
  for (const namespace of [own, other]) {
    const wait = ['-n', namespace, 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=120s'];
    await kubectl(wait);
    for (const name of Object.keys(nodes)) {
      const ip = await ask('-n', namespace, 'get', 'pod', name, '-o', 'jsonpath={.status.podIP}');
      addresses.set(`${namespace}/${name}`, ip);
    }
  }
});

afterEach(() => kubectl(['-n', own, 'delete', 'networkpolicies', '--all']));
afterAll(() => kubectl(['delete', 'namespace', own, other, '--wait=false', '--ignore-not-found']));

test('pods of two nodes reach each other until a policy shuts them in, and again when it has gone', async () => {
  await expectReachability(everybody);
  await policy('deny-all', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] });
  const foreigners = [`${other}/a -> ${other}/b`, `${other}/b -> ${other}/a`];
  await expectReachability([`${own}/a -> `, `${own}/b -> `, ...foreigners]);
  // The kubelet is on the pods' node: their probes still succeed.
  await kubectl(['-n', own, 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=120s']);
  await kubectl(['-n', own, 'delete', 'networkpolicy', 'deny-all']);
  await expectReachability(everybody);
});

test('a policy lets in the pods and namespaces that it selects, on either node', async () => {
  await policy('from-own-b-and-other-a', {
    podSelector: { matchLabels: { pod: 'a' } },
    ingress: [
      { from: [{ podSelector: { matchLabels: { pod: 'b' } } }] },
      {
        from: [
          {
            namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': other } },
            podSelector: { matchLabels: { pod: 'a' } },
          },
        ],
        ports: [{ port: 'http' }],
      },
    ],
  });
  const expected = everybody.map(line => (line.startsWith(`${other}/b`) ? `${other}/b -> ${own}/b ${other}/a` : line));
  await expectReachability(expected);
});

test('what a pod does first is already judged', async () => {
  const known: Place = { namespace: own, pod: 'a' };
  const target: Place = { namespace: other, pod: 'b' };
  const selected = { key: 'pod', operator: 'In', values: ['eager', known.pod] };
  await policy('deny-egress', { podSelector: { matchExpressions: [selected] }, policyTypes: ['Egress'] });
  // The node has heard of the policy when it holds for a pod that is there.
  await eventually(async () => expect(await connects(known, target, 3)).toBe(false));
  const eager = (namespace: string, seconds: number): Promise<unknown> => {
    const attempt = `timeout ${seconds} wget -q -O /dev/null http://${addressOf(target)}:8080/healthz`;
    const command = ['/bin/sh', '-c', `if ${attempt}; then echo through; else echo shut in; fi`];
    return apply(pod('eager', 'worker-1', command), '-n', namespace);
  };
  await Promise.all([eager(own, 1), eager(other, 60)]);
  const logs = (namespace: string): Promise<string> => ask('-n', namespace, 'logs', 'eager');
  await eventually(async () => expect(await logs(own)).toMatch(/^shut in$/m));
  // The same pod where no policy selects it, though one pod's policy is enforced on this node.
  await eventually(async () => expect(await logs(other)).toBe('through'));
});
