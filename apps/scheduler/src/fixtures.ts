import { pods, type Node, type Pod, type PodSpec, type Stored } from '@naru/api';
import { silentLogger } from '@naru/foundation';
import { MemoryObjects, SimulatedClock } from '@naru/testing';
import { createPodInfo } from './cache/pod-info';
import { defaultProfile } from './framework/profile';
import { plugins } from './plugins/registry';
import { Scheduler, type SchedulerDeps } from './scheduler';
import { createInformers, watchCluster } from './watch';

/** Tests only: what the plugins' tests are made of. */
let serial = 0;

export interface NodeInput {
  labels?: Record<string, string>;
  taints?: { key: string; value?: string; effect: string }[];
  cpu?: string;
  memory?: string;
  pods?: string;
  unschedulable?: boolean;
  images?: { names: string[]; sizeBytes: number }[];
  declaredFeatures?: string[];
  /** What device plugins count. */
  extended?: Record<string, string>;
}

export function makeNode(name: string, input: NodeInput = {}): Stored<Node> {
  const {
    labels = {},
    taints,
    cpu = '4',
    memory = '8Gi',
    pods = '110',
    unschedulable,
    images,
    declaredFeatures,
    extended = {},
  } = input;
  return {
    metadata: { name, uid: name, resourceVersion: '1', labels: { 'kubernetes.io/hostname': name, ...labels } },
    spec: { ...(taints ? { taints } : {}), ...(unschedulable ? { unschedulable } : {}) },
    status: {
      allocatable: { cpu, memory, pods, ...extended },
      ...(images ? { images } : {}),
      ...(declaredFeatures ? { declaredFeatures } : {}),
    },
  };
}

export interface PodInput extends Partial<PodSpec> {
  name?: string;
  labels?: Record<string, string>;
  cpu?: string;
  memory?: string;
  hostPort?: number;
  owner?: { kind: string; name: string };
}

export function makePod(input: PodInput = {}): Stored<Pod> {
  const { name = `pod-${++serial}`, labels = {}, cpu, memory, hostPort, owner, ...spec } = input;
  const requests = { ...(cpu ? { cpu } : {}), ...(memory ? { memory } : {}) };
  return {
    metadata: {
      namespace: 'default',
      name,
      uid: `uid-${name}`,
      resourceVersion: '1',
      labels,
      ...(owner ? { ownerReferences: [{ apiVersion: 'apps/v1', ...owner, uid: owner.name, controller: true }] } : {}),
    },
    spec: {
      containers: [
        {
          name: 'main',
          image: 'web',
          resources: { requests },
          ...(hostPort ? { ports: [{ containerPort: hostPort, hostPort }] } : {}),
        },
      ],
      ...spec,
    },
  };
}

/** A pod that only nodes of one declared feature can run. */
export const restartAll = {
  feature: 'RestartAllContainersOnContainerExits',
  pod: {
    containers: [
      {
        name: 'main',
        image: 'web',
        restartPolicy: 'Never',
        restartPolicyRules: [{ action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [42] } }],
      },
    ],
  },
} satisfies { feature: string; pod: PodInput };

export interface Lab {
  scheduler: Scheduler;
  events: { reason: string; message: string; pod: string }[];
  api: MemoryObjects;
  /** Puts a pod on a node without asking the scheduler. */
  place(nodeName: string, input: PodInput): void;
  /** One cycle for a new pod: its node, or why there is none. */
  schedule(input: PodInput): { node?: string; message?: string };
}

/** A scheduler over the given nodes, with all the plugins, and always the first of equals. Its time stands still. */
export function createLab(nodes: Stored<Node>[], deps: Partial<SchedulerDeps> = {}): Lab {
  const api = deps.client instanceof MemoryObjects ? deps.client : new MemoryObjects();
  const events: Lab['events'] = [];
  const none = { get: () => undefined, list: () => [], byIndex: () => [], size: 0 };
  const scheduler = new Scheduler({
    client: api,
    listers: { services: none, replicaSets: none, statefulSets: none, budgets: none },
    storage: {
      claims: none,
      volumes: none,
      classes: none,
      csiNodes: none,
      csiDrivers: none,
      capacities: none,
      onClaim: () => () => undefined,
    },
    devices: { claims: none, classes: none, slices: none, allocated: new Map(), observe: () => undefined },
    namespaceLabels: namespace => ({ 'kubernetes.io/metadata.name': namespace }),
    recorder: () => ({
      record: (about, { reason, message }) => void events.push({ reason, message, pod: about.metadata?.name ?? '' }),
    }),
    // What filters say is read more easily without what preemption adds; its tests ask for it.
    profiles: [defaultProfile(plugins.filter(({ name }) => name !== 'DefaultPreemption'))],
    logger: silentLogger,
    clock: new SimulatedClock(),
    random: () => 0.999,
    ...deps,
  });
  for (const node of nodes) scheduler.cache.setNode(node);
  return {
    scheduler,
    events,
    api,
    place: (nodeName, input) => scheduler.cache.setPod(createPodInfo(makePod(input)), nodeName),
    schedule(input) {
      const pod = makePod(input);
      api.seed(pods, pod);
      const before = events.length;
      scheduler.enqueue(pod, false);
      scheduler.scheduleOne();
      const message = events.slice(before).find(event => event.reason === 'FailedScheduling')?.message;
      if (message !== undefined) return { message };
      const node = scheduler.cache.nodeList().find(info => info.pods.has(pod.metadata.uid));
      return node ? { node: node.name } : {};
    },
  };
}

/** A scheduler with all the plugins that follows `api` until it is stopped. */
export async function startScheduler(
  api: MemoryObjects,
  options: Partial<SchedulerDeps> = {},
): Promise<{
  scheduler: Scheduler;
  events: Lab['events'];
  stop(): Promise<void>;
}> {
  const controller = new AbortController();
  const factory = api.informers();
  const informers = createInformers(factory);
  const events: Lab['events'] = [];
  const scheduler = new Scheduler({
    client: api,
    listers: informers.listers,
    storage: informers.storage,
    devices: informers.devices,
    namespaceLabels: informers.namespaceLabels,
    recorder: () => ({
      record: (about, { reason, message }) => void events.push({ reason, message, pod: about.metadata?.name ?? '' }),
    }),
    profiles: [defaultProfile(plugins)],
    logger: silentLogger,
    ...options,
  });
  watchCluster(informers, scheduler);
  await factory.start(controller.signal);
  const done = scheduler.run(controller.signal);
  const stop = async (): Promise<void> => {
    controller.abort();
    await done;
  };
  return { scheduler, events, stop };
}
