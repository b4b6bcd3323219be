import type { Lease, Node } from '@naru/api';
import type { ControllerConfig } from '../../framework/config';

interface Observed {
  /** What the node last told: the renewal of its lease and the heartbeat of its Ready condition. */
  sign: string;
  /** When we saw it change, by our own clock: the clocks of nodes need not agree. */
  at: number;
  /** It has told more than what there was when we first looked. */
  isHeard: boolean;
}

function signOf(node: Node, lease: Lease | undefined): string {
  const heartbeat = node.status?.conditions?.find(({ type }) => type === 'Ready')?.lastHeartbeatTime;
  return `${lease?.spec?.renewTime ?? ''} ${heartbeat ?? ''}`;
}

/** Remembers when each node last gave a sign of life. */
export class NodeHealth {
  private readonly observed = new Map<string, Observed>();
  /** Silence during an outage of the api-server is nobody's fault. */
  private lastOutageAt = -Infinity;

  constructor(private readonly config: Pick<ControllerConfig, 'nodeMonitorGraceMs' | 'nodeStartupGraceMs'>) {}

  observe(name: string, node: Node, lease: Lease | undefined, now: number): void {
    const sign = signOf(node, lease);
    const before = this.observed.get(name);
    if (before?.sign !== sign) this.observed.set(name, { sign, at: now, isHeard: before !== undefined });
  }

  forget(name: string): void {
    this.observed.delete(name);
  }

  noteOutage(now: number): void {
    this.lastOutageAt = now;
  }

  /** Milliseconds until the node counts as unreachable; 0 or less: it does. A node may promise a longer lease than our grace. */
  remainingMs(name: string, lease: Lease | undefined, now: number): number {
    const at = Math.max(this.observed.get(name)?.at ?? now, this.lastOutageAt);
    return at + this.patienceMs(name, lease) - now;
  }

  /** Silent for more than half of the time that it has. */
  isSuspect(name: string, lease: Lease | undefined, now: number): boolean {
    return this.remainingMs(name, lease, now) < this.patienceMs(name, lease) / 2;
  }

  private patienceMs(name: string, lease: Lease | undefined): number {
    const { nodeMonitorGraceMs, nodeStartupGraceMs } = this.config;
    const graceMs = this.observed.get(name)?.isHeard ? nodeMonitorGraceMs : nodeStartupGraceMs;
    return Math.max(graceMs, (lease?.spec?.leaseDurationSeconds ?? 0) * 1000);
  }
}

/** The conditions by which a node is told to be unreachable, for a strategic patch of its status. Empty: they are there. */
export function unknownConditions(node: Node, now: string): object[] {
  return ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure'].flatMap(type => {
    const known = node.status?.conditions?.find(condition => condition.type === type);
    if (known?.status === 'Unknown') return [];
    return [
      {
        type,
        status: 'Unknown',
        reason: known ? 'NodeStatusUnknown' : 'NodeStatusNeverUpdated',
        message: known ? 'Kubelet stopped posting node status.' : 'Kubelet never posted node status.',
        lastHeartbeatTime: known?.lastHeartbeatTime ?? node.metadata?.creationTimestamp,
        lastTransitionTime: now,
      },
    ];
  });
}
