import { nodes, type Node, type NodeStatus, type Stored } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { isReason, type Clock, type Logger } from '@naru/foundation';
import type { CriClient } from '../cri/cri-client';
import { Nudge } from '../nudge';
import type { PodEvents } from '../pods/pod-events';
import type { Pressure, Threshold } from '../eviction/thresholds';
import { readMachine, readNodeInfo } from './machine';
import type { NodeResourcesInput } from './node-resources';
import type { Reserved } from './reserved';
import {
  newNode,
  nodeStatus,
  notReadyReasons,
  ownLabels,
  pressureEvent,
  pressureTypes,
  sameNodeStatus,
  type NodeTemplate,
  type RuntimeReading,
} from './node-status';
import { RuntimeState } from './runtime-state';

export interface NodeReporterDeps {
  api: ObjectsClient;
  runtime: CriClient;
  events: PodEvents;
  clock: Clock;
  logger: Logger;
  template: NodeTemplate;
  addresses: readonly string[];
  port: () => number;
  rootDir: string;
  maxPods: number;
  thresholds: readonly Threshold[];
  reserved: Reserved;
  maxImages: number;
  /** What the node suffers from. */
  pressures: () => readonly Pressure[];
  /** Extended resources of device plugins. */
  devices: () => NodeResourcesInput['devices'];
  /** How often the status is looked at, and written even if nothing has changed. */
  updateMs: number;
  reportMs: number;
  kubeletVersion: string;
  volumesInUse: () => string[];
  isShuttingDown: () => boolean;
  /** Called with the pod CIDR that the cluster gave to this node, when it is known or changes. */
  onPodCidr?: (cidr: string) => void;
  /** Called with this node's Node each time it has been reported. */
  onReported?: (node: Stored<Node>) => void;
}

/** While not ready: people wait for the node. */
const eagerPeriodMs = 100;

/** Registers this node and keeps its status true. */
export class NodeReporter {
  private node: Stored<Node> | undefined;
  private reportedAt = 0;
  private ready = false;
  private readonly pause = new Nudge();
  private podCidr = '';
  private pressures: readonly Pressure[] = [];

  private readonly runtime: RuntimeState;

  constructor(private readonly deps: NodeReporterDeps) {
    this.runtime = new RuntimeState(deps);
  }

  /** The last known Node; undefined before the registration. */
  get current(): Stored<Node> | undefined {
    return this.node;
  }

  get isReady(): boolean {
    return this.ready;
  }

  /** Reads the Node anew; keeps what is known while the api-server is away. */
  async renew(): Promise<void> {
    try {
      await this.read();
    } catch (err) {
      this.deps.logger.warn({ err }, 'node not read anew');
    }
  }

  /** Looks again now: the runtime came or went. */
  poke(): void {
    this.pause.nudge();
  }

  /** Until the signal; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.deps;
    let failures = 0;
    while (!signal.aborted) {
      let waitMs: number;
      try {
        await this.report();
        failures = 0;
        waitMs = this.ready ? this.deps.updateMs : eagerPeriodMs;
      } catch (err) {
        waitMs = Math.min(5_000, 100 * 2 ** failures++);
        logger.warn({ err, waitMs }, 'node status not reported');
      }
      await this.pause.wait(waitMs, clock, signal);
    }
  }

  private async compute(old: NodeStatus, runtime: RuntimeReading): Promise<NodeStatus> {
    const { deps } = this;
    const up = runtime.failure === undefined;
    const [machine, nodeInfo, version, images] = await Promise.all([
      readMachine(deps.rootDir),
      readNodeInfo(),
      up ? deps.runtime.version().catch(() => undefined) : undefined,
      up ? deps.runtime.listImages().catch(() => undefined) : undefined,
    ]);
    return nodeStatus({
      old,
      nodeName: deps.template.nodeName,
      addresses: deps.addresses,
      port: deps.port(),
      machine,
      maxImages: deps.maxImages,
      pressures: deps.pressures(),
      devices: deps.devices(),
      thresholds: deps.thresholds,
      reserved: deps.reserved,
      maxPods: deps.maxPods,
      runtime,
      nodeInfo,
      runtimeVersion: version
        ? `${version.runtimeName}://${version.runtimeVersion}`
        : (old.nodeInfo?.containerRuntimeVersion ?? ''),
      kubeletVersion: deps.kubeletVersion,
      images,
      volumesInUse: deps.volumesInUse(),
      nowMs: deps.clock.now(),
    });
  }

  private async report(): Promise<void> {
    const { clock } = this.deps;
    const runtime = await this.runtime.read();
    const ready = notReadyReasons(runtime).length === 0;
    // While nothing changes there is nothing to ask the api-server, eager as we are.
    const age = clock.now() - this.reportedAt;
    if (this.node && ready === this.ready && !ready && age < this.deps.updateMs) return;
    const node = await this.read();
    const status = await this.compute(node?.status ?? {}, runtime);
    if (!node) await this.register(status);
    else await this.patch(node, status, age);
    this.noteTransition(ready);
    this.notePressures();
    this.reportedAt = clock.now();
    if (this.node) this.deps.onReported?.(this.node);
    const cidr = this.node?.spec?.podCIDR ?? '';
    if (cidr && cidr !== this.podCidr) {
      this.podCidr = cidr;
      this.deps.onPodCidr?.(cidr);
    }
  }

  private async read(): Promise<Stored<Node> | undefined> {
    const { api, template } = this.deps;
    try {
      return (this.node = await api.get(nodes, { name: template.nodeName }));
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      this.node = undefined;
      return undefined;
    }
  }

  private async register(status: NodeStatus): Promise<void> {
    const { api, template, logger } = this.deps;
    try {
      this.node = await api.create(nodes, newNode(template, status));
    } catch (error) {
      if (isReason(error, 'AlreadyExists')) return;
      throw error;
    }
    // A server that drops the status of a new object gets it by the way it always takes.
    if (!this.node.status?.conditions?.length) await this.patch(this.node, status, this.deps.reportMs);
    logger.info({ node: template.nodeName }, 'node registered');
  }

  private async patch(node: Stored<Node>, status: NodeStatus, age: number): Promise<void> {
    const { api, template } = this.deps;
    let read = node;
    const labels = ownLabels(template.nodeName, template.labels);
    const missing = Object.entries(labels).filter(([key, value]) => node.metadata.labels?.[key] !== value);
    if (missing.length > 0) {
      const body = { metadata: { labels: Object.fromEntries(missing) } };
      read = this.node = await api.patch(nodes, { name: template.nodeName }, { type: 'merge', body });
    }
    const unchanged = sameNodeStatus(node.status ?? {}, status);
    if (unchanged && age < this.deps.reportMs && this.reportedAt !== 0) return;
    // Conditions of others stay: the list is written whole, from the version just read.
    const { resourceVersion, uid } = read.metadata;
    const body = { metadata: { uid, resourceVersion }, status };
    this.node = await api.patch(nodes, { name: template.nodeName }, { type: 'merge', body }, { subresource: 'status' });
  }

  private noteTransition(ready: boolean): void {
    const { events, template, logger } = this.deps;
    if (ready === this.ready) return;
    this.ready = ready;
    const name = ready ? 'NodeReady' : 'NodeNotReady';
    logger.info({ node: template.nodeName, ready }, 'node readiness changed');
    if (this.node) events.node(this.node, 'Normal', name, `Node ${template.nodeName} status is now: ${name}`);
  }

  private notePressures(): void {
    const { events, pressures } = this.deps;
    const now = [...pressures()];
    for (const type of pressureTypes) {
      const under = now.includes(type);
      if (!this.node || under === this.pressures.includes(type)) continue;
      const name = pressureEvent(type, under);
      events.node(this.node, 'Normal', name, `Node ${this.deps.template.nodeName} status is now: ${name}`);
    }
    this.pressures = now;
  }
}
