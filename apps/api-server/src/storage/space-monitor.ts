import { Gauge, type Registry } from 'prom-client';
import { runPeriodically, type Clock, type Logger } from '@naru/foundation';
import type { StoreUsage } from '@naru/store';

export interface SpaceMonitorDeps {
  usage(): Promise<StoreUsage>;
  clock: Clock;
  logger: Logger;
  registry: Registry;
}

const intervalMs = 10_000;
/** From here on every writer is warned. */
const alarmShare = 0.8;

/** Looks how full the store is, and raises the alarm before it refuses writes. */
export class SpaceMonitor {
  private readonly controller = new AbortController();
  private readonly used: Gauge;
  private readonly limit: Gauge;
  private share = 0;

  constructor(private readonly deps: SpaceMonitorDeps) {
    const registers = [deps.registry];
    this.used = new Gauge({
      name: 'apiserver_storage_size_bytes',
      help: 'Size of the storage database file physically allocated in bytes.',
      labelNames: ['storage_cluster_id'],
      registers,
    });
    this.limit = new Gauge({
      name: 'naru_storage_limit_bytes',
      help: 'Size at which the store refuses writes other than deletions.',
      registers,
    });
  }

  start(): void {
    const { clock, logger } = this.deps;
    const failure = 'the store does not say how full it is';
    const { signal } = this.controller;
    void runPeriodically({ clock, logger, work: () => this.look(), periodMs: intervalMs, failure }, signal);
  }

  stop(): void {
    this.controller.abort();
  }

  /** What a writer is to be told; undefined while there is room. */
  get warning(): string | undefined {
    if (this.share < alarmShare) return undefined;
    return `the store is ${Math.floor(this.share * 100)}% full; at 100% only deletions are accepted`;
  }

  private async look(): Promise<void> {
    const { logger, usage } = this.deps;
    const { usedBytes, limitBytes } = await usage();
    this.used.set({ storage_cluster_id: 'etcd-0' }, usedBytes);
    this.limit.set(limitBytes);
    const before = this.share;
    this.share = usedBytes / limitBytes;
    if (before < alarmShare && this.share >= alarmShare) logger.error({ usedBytes, limitBytes }, 'store nearly full');
    if (before >= alarmShare && this.share < alarmShare) logger.info({ usedBytes, limitBytes }, 'store has room again');
  }
}
