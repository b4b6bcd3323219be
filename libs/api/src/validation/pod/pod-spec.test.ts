import { defaultPod } from '../../defaults/pod-spec';
import type { Container, PodSpec } from '../../types';
import { describeFieldError, type FieldError } from '../field-error';
import { validatePodSpec } from './pod-spec';

const image = 'example/image:v1';
const label = (what: string): string => `${what}: "x y"`;

/** The problems of a pod that is sound but for `change`. A change may be of a kind that the types do not allow. */
function problems(change: object): string[] {
  const spec = { containers: [{ name: 'main', image }], ...structuredClone(change) } as PodSpec;
  defaultPod(spec);
  const errors: FieldError[] = [];
  validatePodSpec(spec, 'spec', errors);
  return errors.map(error => `${error.field}: ${describeFieldError(error)}`);
}

const container = (more: object): { containers: Container[] } => ({ containers: [{ name: 'main', image, ...more }] });
const init = (more: object): { initContainers: Container[] } => ({
  initContainers: [{ name: 'init', image, ...more }],
});
const unsupported = (field: string, value: string, ...values: string[]): string =>
  `spec.${field}: Unsupported value: "${value}": supported values: ${values.map(v => `"${v}"`).join(', ')}`;
const main = 'containers[0]';

test.each<[string, object]>([
  ['nothing special', {}],
  ['secrets for pulling that cannot be there', { imagePullSecrets: [{ name: 'My_Registry' }, {}] }],
  ['choices made', { restartPolicy: 'Never', dnsPolicy: 'Default', preemptionPolicy: 'Never', os: { name: 'linux' } }],
  ['policies', { securityContext: { supplementalGroupsPolicy: 'Strict', fsGroupChangePolicy: 'OnRootMismatch' } }],
  [
    'a label as a variable',
    container({ env: [{ name: 'a', valueFrom: { fieldRef: { fieldPath: "metadata.labels['a/b']" } } }] }),
  ],
  [
    'claims, as files and as devices, in places of their own',
    {
      volumes: [
        { name: 'a', persistentVolumeClaim: { claimName: 'a' } },
        { name: 'b', persistentVolumeClaim: { claimName: 'b' } },
      ],
      ...container({
        volumeMounts: [{ name: 'a', mountPath: '/a' }],
        volumeDevices: [{ name: 'b', devicePath: '/dev/b' }],
      }),
    },
  ],
  [
    'huge pages as a variable',
    container({
      env: [{ name: 'a', valueFrom: { resourceFieldRef: { resource: 'limits.hugepages-2Mi', divisor: '1Mi' } } }],
    }),
  ],
  [
    'rules of restart',
    container({
      restartPolicy: 'Never',
      restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [1] } }],
    }),
  ],
  [
    'one port for two init containers',
    { initContainers: [1, 2].map(n => ({ name: `i${n}`, image, ports: [{ containerPort: 80, hostPort: 80 }] })) },
  ],
  [
    'a claim',
    {
      resourceClaims: [{ name: 'gpu', resourceClaimName: 'a' }],
      ...container({ resources: { claims: [{ name: 'gpu' }] } }),
    },
  ],
  ['names to search', { dnsConfig: { searches: ['.', 'a_b.example.com.', '_sip._tcp.a_b', 'example.com'] } }],
])('a pod with %s is sound', (_what, change) => expect(problems(change)).toEqual([]));

test.each<[string, object, ...string[]]>([
  ['restartPolicy', { restartPolicy: 'Once' }, unsupported('restartPolicy', 'Once', 'Always', 'OnFailure', 'Never')],
  [
    'dnsPolicy',
    { dnsPolicy: 'Ask' },
    unsupported('dnsPolicy', 'Ask', 'ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'),
  ],
  [
    'preemptionPolicy',
    { preemptionPolicy: 'Maybe' },
    unsupported('preemptionPolicy', 'Maybe', 'PreemptLowerPriority', 'Never'),
  ],
  ['os', { os: { name: 'plan9' } }, unsupported('os', 'plan9', 'linux', 'windows')],
  ['no os', { os: { name: '' } }, 'spec.os.name: Required value: cannot be empty'],
  [
    'policies of security',
    { securityContext: { supplementalGroupsPolicy: 'Some', fsGroupChangePolicy: 'Some', seLinuxChangePolicy: 'Some' } },
    unsupported('securityContext.fsGroupChangePolicy', 'Some', 'Always', 'OnRootMismatch'),
    unsupported('securityContext.supplementalGroupsPolicy', 'Some', 'Merge', 'Strict'),
    unsupported('securityContext.seLinuxChangePolicy', 'Some', 'MountOption', 'Recursive'),
  ],
  [
    'supplementalGroups',
    { securityContext: { supplementalGroups: [1, -1] } },
    'spec.securityContext.supplementalGroups[1]: Invalid value: -1: must be between 0 and 2147483647, inclusive',
  ],
  [
    'seccomp profiles',
    {
      securityContext: { seccompProfile: { type: 'Own' } },
      ...container({ securityContext: { seccompProfile: { type: 'Localhost' } } }),
    },
    `spec.${main}.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost`,
    unsupported('securityContext.seccompProfile.type', 'Own', 'Localhost', 'RuntimeDefault', 'Unconfined'),
  ],
  [
    'profiles of the node where they do not belong',
    {
      securityContext: {
        seccompProfile: { type: 'Localhost', localhostProfile: '../a' },
        appArmorProfile: { type: 'Unconfined', localhostProfile: 'a' },
      },
    },
    'spec.securityContext.seccompProfile.localhostProfile: Invalid value: "../a": must not contain \'..\'',
    'spec.securityContext.appArmorProfile.localhostProfile: Invalid value: "a": can only be set when AppArmor type is Localhost',
  ],
  [
    'an AppArmor profile of no type',
    { securityContext: { appArmorProfile: {} } },
    'spec.securityContext.appArmorProfile.type: Required value: type is required when appArmorProfile is set',
  ],
  [
    'shared processes',
    { hostPID: true, shareProcessNamespace: true },
    'spec.securityContext.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled',
  ],
  [
    'options of another system',
    { os: { name: 'linux' }, ...container({ securityContext: { windowsOptions: {} } }) },
    `spec.${main}.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod`,
  ],
  [
    'Linux in a windows pod',
    { os: { name: 'windows' }, hostPID: true, securityContext: { fsGroup: 1 } },
    'spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod',
    'spec.hostPID: Forbidden: cannot be set for a windows pod',
  ],
  [
    'choices of a container',
    container({
      imagePullPolicy: 'Later',
      terminationMessagePolicy: 'Shout',
      ports: [{ containerPort: 1, protocol: 'ICMP' }],
    }),
    unsupported(`${main}.imagePullPolicy`, 'Later', 'Always', 'IfNotPresent', 'Never'),
    unsupported(`${main}.terminationMessagePolicy`, 'Shout', 'File', 'FallbackToLogsOnError'),
    unsupported(`${main}.ports[0].protocol`, 'ICMP', 'SCTP', 'TCP', 'UDP'),
  ],
  [
    'rules of restart',
    container({
      restartPolicyRules: [{ action: 'Reboot', exitCodes: { operator: 'Is', values: [1] } }, { action: 'Restart' }],
    }),
    `spec.${main}.restartPolicy: Required value: must specify restartPolicy when restart rules are used`,
    unsupported(`${main}.restartPolicyRules[0].action`, 'Reboot', 'Restart', 'RestartAllContainers'),
    unsupported(`${main}.restartPolicyRules[0].exitCodes.operator`, 'Is', 'In', 'NotIn'),
    `spec.${main}.restartPolicyRules[1].exitCodes: Required value: must be specified`,
  ],
  [
    'restartPolicy of a container',
    init({ restartPolicy: 'Once' }),
    unsupported('initContainers[0].restartPolicy', 'Once', 'Always', 'Never', 'OnFailure'),
  ],
  [
    'resizePolicy',
    {
      restartPolicy: 'Never',
      ...container({ resizePolicy: [{ resourceName: 'disk', restartPolicy: 'RestartContainer' }] }),
    },
    unsupported(`${main}.resizePolicy`, 'disk', 'cpu', 'memory'),
    `spec.${main}.resizePolicy: Invalid value: "RestartContainer": must be 'NotRequired' when \`restartPolicy\` is 'Never'`,
  ],
  [
    'a hook that outlives its pod',
    { terminationGracePeriodSeconds: 5, ...container({ lifecycle: { preStop: { sleep: { seconds: 6 } } } }) },
    `spec.${main}.lifecycle.preStop.sleep: Invalid value: 6: must be non-negative and less than terminationGracePeriodSeconds (5)`,
  ],
  [
    'a grace period of a readiness probe',
    container({ readinessProbe: { exec: { command: ['a'] }, terminationGracePeriodSeconds: 1 } }),
    `spec.${main}.readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes`,
  ],
  [
    'variables',
    container({
      env: [
        { name: 'a', valueFrom: { fieldRef: { fieldPath: 'status.phase' } } },
        { name: 'b', valueFrom: { fieldRef: { fieldPath: 'spec.colour' } } },
        { name: 'c', valueFrom: { resourceFieldRef: { resource: 'limits.disk' } } },
        { name: 'd', valueFrom: { resourceFieldRef: { resource: 'limits.cpu', divisor: '10' } } },
        { name: 'e', valueFrom: { configMapKeyRef: { name: 'A', key: 'a/b' } } },
      ],
    }),
    unsupported(
      `${main}.env[0].valueFrom.fieldRef.fieldPath`,
      'status.phase',
      ...['metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName', 'spec.serviceAccountName'],
      ...['status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs'],
    ),
    `spec.${main}.env[1].valueFrom.fieldRef.fieldPath: Invalid value: "spec.colour": error converting fieldPath: field label not supported: spec.colour`,
    unsupported(
      `${main}.env[2].valueFrom.resourceFieldRef.resource`,
      'limits.disk',
      ...['limits.cpu', 'limits.ephemeral-storage', 'limits.memory'],
      ...['requests.cpu', 'requests.ephemeral-storage', 'requests.memory'],
    ),
    `spec.${main}.env[3].valueFrom.resourceFieldRef.divisor: Invalid value: "limits.cpu": only divisor's values 1m and 1 are supported with the cpu resource`,
    expect.stringMatching(
      /^spec.containers\[0\].env\[4\].valueFrom.configMapKeyRef.name: Invalid value: "A"/,
    ) as string,
    expect.stringMatching(
      /^spec.containers\[0\].env\[4\].valueFrom.configMapKeyRef.key: Invalid value: "a\/b"/,
    ) as string,
  ],
  [
    'resources',
    container({
      resources: { limits: { storage: '1', 'hugepages-2Mi': '3Mi' }, requests: { 'example.com/gpu': '1' } },
    }),
    `spec.${main}.resources.limits[storage]: Invalid value: "storage": must be a standard resource for containers`,
    `spec.${main}.resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi`,
    expect.stringContaining('requests[storage]') as string,
    expect.stringContaining('requests[hugepages-2Mi]') as string,
    `spec.${main}.resources.limits: Required value: Limit must be set for non overcommitable resources`,
    `spec.${main}.resources: Forbidden: HugePages require cpu or memory`,
  ],
  [
    'variables from files',
    {
      volumes: [
        { name: 'own', emptyDir: {} },
        { name: 'node', hostPath: { path: '/' } },
      ],
      ...container({
        env: [
          { name: 'a', valueFrom: { fileKeyRef: { volumeName: 'own', path: 'a/b', key: 'A' } } },
          { name: 'b', valueFrom: { fileKeyRef: { volumeName: 'node', path: '../b', key: 'A=' } } },
          { name: 'c', valueFrom: { fileKeyRef: { volumeName: 'none', path: '', key: 'A'.repeat(129) } } },
        ],
      }),
    },
    expect.stringMatching(/^spec.containers\[0\].env\[1\].valueFrom.fileKeyRef.key: Invalid value: "A="/) as string,
    `spec.${main}.env[1].valueFrom.fileKeyRef.path: Invalid value: "../b": must not contain '..'`,
    `spec.${main}.env[1].valueFrom.fileKeyRef.volumeName: Invalid value: "node": referenced volume must be of type emptyDir`,
    expect.stringContaining('env[2].valueFrom.fileKeyRef.key: Too long') as string,
    `spec.${main}.env[2].valueFrom.fileKeyRef.path: Required value`,
    `spec.${main}.env[2].valueFrom.fileKeyRef.volumeName: Not found: "none"`,
  ],
  [
    'a claim that the pod has not',
    container({ resources: { claims: [{ name: 'a' }] } }),
    `spec.${main}.resources.claims[0].name: Not found: "a": must be one of the names in pod.spec.resourceClaims which is empty`,
  ],
  [
    'a claim of nothing',
    { resourceClaims: [{ name: 'a' }] },
    'spec.resourceClaims[0]: Invalid value: {"name":"a"}: must specify one of: `resourceClaimName`, `resourceClaimTemplateName`',
  ],
  [
    'volumes',
    {
      volumes: [
        { name: 'a', hostPath: { path: '/a', type: 'Disk' } },
        { name: 'b', configMap: { name: 'b', defaultMode: 512, items: [{ key: 'a', path: '..a', mode: -1 }] } },
        { name: 'c', image: { reference: '', pullPolicy: 'Later' } },
        {
          name: 'd',
          projected: {
            sources: [
              { serviceAccountToken: { path: 't', expirationSeconds: 60 } },
              { secret: { name: 's', items: [{ key: 'a', path: 't' }] } },
            ],
          },
        },
        {
          name: 'e',
          downwardAPI: {
            items: [
              { path: 'a', fieldRef: { fieldPath: 'status.podIP' } },
              { path: 'b', resourceFieldRef: { resource: 'limits.cpu' } },
            ],
          },
        },
        { name: 'f', csi: { driver: '' } },
      ],
    },
    unsupported(
      'volumes[0].hostPath.type',
      'Disk',
      '',
      'BlockDevice',
      'CharDevice',
      'Directory',
      'DirectoryOrCreate',
      'File',
      'FileOrCreate',
      'Socket',
    ),
    'spec.volumes[1].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777 (octal), both inclusive',
    'spec.volumes[1].configMap.items[0].path: Invalid value: "..a": must not start with \'..\'',
    'spec.volumes[1].configMap.items[0].mode: Invalid value: -1: must be a number between 0 and 0777 (octal), both inclusive',
    'spec.volumes[2].image.reference: Required value',
    unsupported('volumes[2].image.pullPolicy', 'Later', 'Always', 'IfNotPresent', 'Never'),
    'spec.volumes[3].projected.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes',
    'spec.volumes[3].projected: Invalid value: "s": conflicting duplicate paths',
    unsupported(
      'volumes[4].downwardAPI.fieldRef.fieldPath',
      'status.podIP',
      'metadata.annotations',
      'metadata.labels',
      'metadata.name',
      'metadata.namespace',
      'metadata.uid',
    ),
    'spec.volumes[4].downwardAPI.resourceFieldRef.containerName: Required value',
    'spec.volumes[5].csi.driver: Required value',
  ],
  [
    'mounts',
    {
      volumes: [{ name: 'v', emptyDir: {} }],
      ...container({
        volumeMounts: [
          { name: 'v', mountPath: '/a', mountPropagation: 'Outwards' },
          { name: 'v', mountPath: '/b', mountPropagation: 'Bidirectional' },
          { name: 'v', mountPath: '/c', recursiveReadOnly: 'Enabled' },
          { name: 'v', mountPath: '/d', recursiveReadOnly: 'Perhaps' },
        ],
        volumeDevices: [{ name: 'v', devicePath: '/dev/../a' }],
      }),
    },
    ...[0, 1, 2, 3].flatMap(index => [
      `spec.${main}.volumeMounts[${index}].name: Invalid value: "v": must not already exist in volumeDevices`,
      ...([
        [
          unsupported(
            `${main}.volumeMounts[0].mountPropagation`,
            'Outwards',
            'Bidirectional',
            'HostToContainer',
            'None',
          ),
        ],
        [
          `spec.${main}.volumeMounts[1].mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers`,
        ],
        [`spec.${main}.volumeMounts[2].recursiveReadOnly: Forbidden: may only be specified when readOnly is true`],
        [unsupported(`${main}.volumeMounts[3].recursiveReadOnly`, 'Perhaps', 'Disabled', 'Enabled', 'IfPossible')],
      ][index] ?? []),
    ]),
    `spec.${main}.volumeDevices[0].name: Invalid value: "v": can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode`,
    `spec.${main}.volumeDevices[0].devicePath: Invalid value: "/dev/../a": can not contain backsteps ('..')`,
    `spec.${main}.volumeDevices[0].name: Invalid value: "v": must not already exist in volumeMounts`,
  ],
  [
    'spread constraints',
    {
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'zone',
          whenUnsatisfiable: 'ScheduleAnyway',
          minDomains: 2,
          nodeAffinityPolicy: 'Heed',
          matchLabelKeys: ['a'],
        },
        { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'ScheduleAnyway' },
      ],
    },
    'spec.topologySpreadConstraints[0].minDomains: Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ScheduleAnyway',
    unsupported('topologySpreadConstraints[0].nodeAffinityPolicy', 'Heed', 'Honor', 'Ignore'),
    'spec.topologySpreadConstraints[0].matchLabelKeys: Forbidden: must not be specified when labelSelector is not set',
    'spec.topologySpreadConstraints[1].{topologyKey, whenUnsatisfiable}: Duplicate value: "{zone, ScheduleAnyway}"',
  ],
  [
    'affinity to nodes',
    {
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              { matchFields: [{ key: 'metadata.uid', operator: 'Exists' }] },
              { matchExpressions: [{ key: 'a', operator: 'In', values: ['x y'] }] },
            ],
          },
        },
      },
    },
    'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].operator: Invalid value: "Exists": not a valid selector operator',
    'spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchFields[0].key: Invalid value: "metadata.uid": not a valid field selector key',
    expect.stringContaining(label('nodeSelectorTerms[1].matchExpressions[0].values[0]: Invalid value')) as string,
  ],
  [
    'affinity to pods',
    {
      affinity: {
        podAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: [
            {
              topologyKey: 'zone',
              labelSelector: {},
              matchLabelKeys: ['a'],
              mismatchLabelKeys: ['a'],
              namespaces: ['A'],
            },
          ],
        },
      },
    },
    expect.stringContaining('[0].namespace: Invalid value: "A"') as string,
    expect.stringContaining(
      '[0].matchLabelKeys[0]: Invalid value: "a": exists in both matchLabelKeys and mismatchLabelKeys',
    ) as string,
  ],
  [
    'scheduling gates',
    { schedulingGates: [{ name: 'a' }, { name: 'a' }] },
    'spec.schedulingGates[1]: Duplicate value: "a"',
  ],
  [
    'no DNS at all',
    { dnsPolicy: 'None' },
    'spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None',
  ],
  [
    'names that are none',
    {
      hostAliases: [{ ip: '10.0.0.1', hostnames: ['A'] }],
      dnsConfig: { searches: ['a..b', '__a', 'a_.b'], options: [{}] },
    },
    expect.stringContaining('spec.dnsConfig.searches[0]: Invalid value: "a..b"') as string,
    expect.stringContaining('spec.dnsConfig.searches[1]: Invalid value: "__a"') as string,
    expect.stringContaining('spec.dnsConfig.searches[2]: Invalid value: "a_.b"') as string,
    'spec.dnsConfig.options[0]: Required value: must not be empty',
    expect.stringContaining('spec.hostAliases[0].hostnames[0]: Invalid value: "A"') as string,
  ],
  [
    'a host name on the network of the node',
    { hostNetwork: true, hostnameOverride: 'a' },
    'spec.hostnameOverride: Forbidden: may not be specified when hostNetwork is true',
  ],
  [
    'another port than on the node',
    { hostNetwork: true, ...container({ ports: [{ containerPort: 80, hostPort: 81 }] }) },
    `spec.${main}.ports[0].hostPort: Invalid value: 81: must match \`containerPort\` when \`hostNetwork\` is true`,
  ],
  [
    'overhead of no resource',
    { overhead: { disk: '1' } },
    'spec.overhead.limits[disk]: Invalid value: "disk": must be a standard resource for containers',
  ],
])('of a pod with wrong %s the api-server says what is wrong', (_what, change, ...expected) =>
  expect(problems(change)).toEqual(expected),
);
