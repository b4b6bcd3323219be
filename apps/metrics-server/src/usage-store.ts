import { parseExposition } from './exposition';
import { Meter, type Reading, type Usage } from './usage';

const metrics = {
  nodeCpu: 'node_cpu_usage_seconds_total',
  nodeMemory: 'node_memory_working_set_bytes',
  cpu: 'container_cpu_usage_seconds_total',
  memory: 'container_memory_working_set_bytes',
  start: 'container_start_time_seconds',
} as const;
const wanted: ReadonlySet<string> = new Set(Object.values(metrics));

/** What the kubelet of one node has told, by pod (`NAMESPACE/NAME`) and container. */
interface NodeMeters {
  node: Meter;
  pods: Map<string, Map<string, Meter>>;
}

export interface PodUsage {
  containers: { name: string; usage: Usage }[];
}

/** The use of all nodes and pods. Of each thing only the last two readings are kept. */
export class UsageStore {
  private readonly nodes = new Map<string, NodeMeters>();
  private readonly nodeOfPod = new Map<string, string>();

  /** Takes in an answer of a kubelet's /metrics/resource. What it does not name any more is forgotten. */
  apply(nodeName: string, exposition: string, nowMs: number): void {
    const { node, containers } = readingsOf(exposition, nowMs);
    const meters = this.nodes.get(nodeName) ?? { node: new Meter(), pods: new Map() };
    this.nodes.set(nodeName, meters);
    if (node) meters.node.add(node);
    for (const pod of meters.pods.keys()) if (!containers.has(pod)) this.forgetPod(nodeName, meters, pod);
    for (const [pod, readings] of containers) {
      const known = meters.pods.get(pod) ?? new Map<string, Meter>();
      meters.pods.set(pod, known);
      this.nodeOfPod.set(pod, nodeName);
      for (const name of known.keys()) if (!readings.has(name)) known.delete(name);
      for (const [name, reading] of readings) {
        const meter = known.get(name) ?? new Meter();
        known.set(name, meter);
        meter.add(reading);
      }
    }
  }

  forgetNode(nodeName: string): void {
    const meters = this.nodes.get(nodeName);
    if (!meters) return;
    for (const pod of meters.pods.keys()) this.forgetPod(nodeName, meters, pod);
    this.nodes.delete(nodeName);
  }

  ofNode(name: string): Usage | undefined {
    return this.nodes.get(name)?.node.usage;
  }

  /** Undefined unless all its containers have been measured for a while: a part would be taken for the whole. */
  ofPod(namespace: string, name: string): PodUsage | undefined {
    const key = `${namespace}/${name}`;
    const meters = this.nodes.get(this.nodeOfPod.get(key) ?? '')?.pods.get(key);
    if (!meters || meters.size === 0) return undefined;
    const containers: PodUsage['containers'] = [];
    for (const [container, { usage }] of meters) {
      if (!usage) return undefined;
      containers.push({ name: container, usage });
    }
    return { containers };
  }

  private forgetPod(nodeName: string, meters: NodeMeters, pod: string): void {
    meters.pods.delete(pod);
    // It may have been seen on another node since: a StatefulSet's pod has the same name there.
    if (this.nodeOfPod.get(pod) === nodeName) this.nodeOfPod.delete(pod);
  }
}

type Draft = Partial<Reading>;

function isWhole(draft: Draft | undefined): draft is Reading {
  return draft?.timeMs !== undefined && draft.cpuSeconds !== undefined && draft.memoryBytes !== undefined;
}

function readingsOf(
  exposition: string,
  nowMs: number,
): { node: Reading | undefined; containers: Map<string, Map<string, Reading>> } {
  const node: Draft = {};
  const drafts = new Map<string, Map<string, Draft>>();
  const draftOf = ({ namespace = '', pod = '', container = '' }: Record<string, string>): Draft => {
    const key = `${namespace}/${pod}`;
    const ofPod = drafts.get(key) ?? new Map<string, Draft>();
    drafts.set(key, ofPod);
    const draft = ofPod.get(container) ?? {};
    ofPod.set(container, draft);
    return draft;
  };
  for (const { name, labels, value, timeMs = nowMs } of parseExposition(exposition, wanted)) {
    if (name === metrics.nodeCpu) Object.assign(node, { cpuSeconds: value, timeMs });
    else if (name === metrics.nodeMemory) node.memoryBytes = value;
    else if (name === metrics.cpu) Object.assign(draftOf(labels), { cpuSeconds: value, timeMs });
    else if (name === metrics.memory) draftOf(labels).memoryBytes = value;
    else draftOf(labels).startMs = value * 1000;
  }
  const containers = new Map<string, Map<string, Reading>>();
  for (const [pod, ofPod] of drafts) {
    const whole = [...ofPod].filter((entry): entry is [string, Reading] => isWhole(entry[1]));
    if (whole.length > 0) containers.set(pod, new Map(whole));
  }
  return { node: isWhole(node) ? node : undefined, containers };
}
