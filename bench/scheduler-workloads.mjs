// The workloads of upstream's scheduler_perf (test/integration/scheduler_perf): what is there before, what is measured, what goes on
// meanwhile, and the pods per second that upstream holds its own machines to at 5,000 nodes.
const zone = 'topology.kubernetes.io/zone';
const hostname = 'kubernetes.io/hostname';

/** @returns what createPods makes a pod of: labels, requests and the parts of the spec that the workload is about. */
const podOf = ({ cpu = '100m', labels, ...spec } = {}) => ({
  labels,
  spec: {
    containers: [
      {
        name: 'pause',
        image: 'registry.k8s.io/pause:3.10.1',
        ports: [{ containerPort: 80 }],
        resources: { requests: { cpu, memory: '500Mi' }, limits: { cpu, memory: '500Mi' } },
      },
    ],
    ...spec,
  },
});

const term = (labels, topologyKey) => ({
  labelSelector: { matchLabels: labels },
  topologyKey,
  namespaces: ['init', 'measured'],
});
const preferred = podAffinityTerm => [{ weight: 1, podAffinityTerm }];
const required = 'requiredDuringSchedulingIgnoredDuringExecution';
const wished = 'preferredDuringSchedulingIgnoredDuringExecution';
const spread = whenUnsatisfiable =>
  podOf({
    labels: { color: 'blue' },
    topologySpreadConstraints: [
      { maxSkew: 5, topologyKey: zone, whenUnsatisfiable, labelSelector: { matchLabels: { color: 'blue' } } },
    ],
  });

const plain = podOf();
const antiAffinity = podOf({
  labels: { color: 'green' },
  affinity: { podAntiAffinity: { [required]: [term({ color: 'green' }, hostname)] } },
});
const affinity = podOf({
  labels: { color: 'blue' },
  affinity: { podAffinity: { [required]: [term({ color: 'blue' }, zone)] } },
});
const preferredAffinity = podOf({
  labels: { color: 'red' },
  affinity: { podAffinity: { [wished]: preferred(term({ color: 'red' }, hostname)) } },
});
const preferredAntiAffinity = podOf({
  labels: { color: 'yellow' },
  affinity: { podAntiAffinity: { [wished]: preferred(term({ color: 'yellow' }, hostname)) } },
});
const lowPriority = podOf({ cpu: '900m', terminationGracePeriodSeconds: 0 });
const highPriority = podOf({ cpu: '3', priorityClassName: 'high' });
const tooLarge = podOf({ cpu: '9', priorityClassName: 'high' });

const oneZone = ['zone1'];
const threeZones = ['moon-1', 'moon-2', 'moon-3'];

/**
 * `sizes`: [nodes, pods before, pods measured, upstream's threshold where it has one for that size]. `init`: the kinds of pods that are
 * there before, each as often as the size says. `churn`: what is made besides, and how often; `again`: anew each time.
 */
export const workloads = {
  SchedulingBasic: {
    init: [plain],
    measured: plain,
    sizes: [
      [500, 500, 1000],
      [1000, 1000, 5000],
      [5000, 1000, 10000, 680],
    ],
  },
  SchedulingPodAntiAffinity: {
    init: [antiAffinity],
    measured: antiAffinity,
    sizes: [
      [500, 100, 400],
      [5000, 1000, 2000, 60],
    ],
  },
  SchedulingPodAffinity: {
    zones: oneZone,
    init: [affinity],
    measured: affinity,
    sizes: [
      [500, 500, 1000],
      [5000, 5000, 5000, 35],
    ],
  },
  SchedulingPreferredPodAffinity: {
    init: [preferredAffinity],
    measured: preferredAffinity,
    sizes: [
      [500, 500, 1000],
      [5000, 5000, 5000, 90],
    ],
  },
  MixedSchedulingBasePod: {
    zones: oneZone,
    init: [plain, affinity, antiAffinity, preferredAffinity, preferredAntiAffinity],
    measured: plain,
    sizes: [
      [500, 200, 1000],
      [5000, 2000, 5000, 140],
    ],
  },
  TopologySpreading: {
    zones: threeZones,
    init: [plain],
    measured: spread('DoNotSchedule'),
    sizes: [
      [500, 1000, 1000],
      [5000, 5000, 5000, 460],
    ],
  },
  PreferredTopologySpreading: {
    zones: threeZones,
    init: [plain],
    measured: spread('ScheduleAnyway'),
    sizes: [
      [500, 1000, 1000],
      [5000, 5000, 5000, 340],
    ],
  },
  Unschedulable: {
    init: [plain],
    measured: plain,
    churn: { pod: tooLarge, everyMs: 200 },
    sizes: [
      [500, 10, 1000],
      [5000, 100, 10000, 590],
    ],
  },
  PreemptionBasic: {
    init: [lowPriority],
    measured: highPriority,
    sizes: [
      [500, 2000, 500],
      [1000, 4000, 1000],
    ],
  },
  PreemptionAsync: {
    init: [lowPriority],
    measured: plain,
    churn: { pod: highPriority, everyMs: 200 },
    sizes: [
      [500, 2000, 500],
      [5000, 20000, 5000, 570],
    ],
  },
  SchedulingWithMixedChurn: {
    init: [],
    measured: plain,
    churn: { pod: tooLarge, node: true, service: true, everyMs: 1000, again: true },
    sizes: [
      [1000, 0, 1000],
      [5000, 0, 10000, 710],
    ],
  },
};
