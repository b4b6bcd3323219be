import type { Clock, Logger } from '@naru/foundation';
import { CommandError, type CommandRunner } from './command';
import { endFlows, flowsToEnd, listUdpFlows, staleFlows } from './conntrack';
import { DesiredState } from './desired/desired-state';
import type { IpFamily } from './desired/ip-family';
import type { PortChange } from './desired/service-port';
import type { ProxyMetrics } from './metrics';
import type { RuleSync } from './modes/mode';
import { SyncLoop } from './sync-loop';

export interface FamilyProxyDeps {
  nodeName: string;
  family: IpFamily;
  rules: RuleSync;
  run: CommandRunner;
  metrics: ProxyMetrics;
  clock: Clock;
  logger: Logger;
  minSyncPeriodMs: number;
  fullSyncPeriodMs: number;
  /** The rules say what `desired` does. */
  onSynced: () => Promise<void>;
}

/** The rules of one family of addresses, in a rhythm of their own: what fails in one family does not stop the other. */
export class FamilyProxy {
  readonly desired: DesiredState;
  private readonly loop: SyncLoop;
  private readonly labels: { ip_family: IpFamily };
  /** Milliseconds since the epoch at which the changes that wait were made, by the slices' annotation. */
  private changedAt: number[] = [];
  private queuedAt: number | undefined;
  private syncedAt: number | undefined;
  private canTrackFlows = true;

  constructor(private readonly deps: FamilyProxyDeps) {
    const { nodeName, family, clock, logger, metrics } = deps;
    this.labels = { ip_family: family };
    // A counter that nothing has happened to is a number too.
    metrics.failures.inc(this.labels, 0);
    this.desired = new DesiredState({ nodeName, family });
    this.loop = new SyncLoop({
      name: `services of ${family}`,
      sync: full => this.sync(full),
      clock,
      logger,
      minPeriodMs: deps.minSyncPeriodMs,
      fullPeriodMs: deps.fullSyncPeriodMs,
    });
  }

  /** All Services and slices have been told of. */
  start(): void {
    this.loop.triggerFull();
  }

  stop(): Promise<void> {
    return this.loop.stop();
  }

  /** When rules were last synced, in milliseconds since the epoch; undefined before the first time. */
  get lastSyncedAt(): number | undefined {
    return this.syncedAt;
  }

  /** Since when a change waits, in milliseconds since the epoch; undefined when none does. */
  get waitingSince(): number | undefined {
    return this.queuedAt;
  }

  /** The desired state was told of something; `changedAt`: when it happened, if that is known. */
  changed(changedAt?: number): void {
    // Most of what is told of is of the other family only.
    if (this.desired.pending === 0) return;
    if (changedAt !== undefined && this.changedAt.length < 1000) this.changedAt.push(changedAt);
    const { clock, metrics } = this.deps;
    this.queuedAt ??= clock.now();
    metrics.lastQueued.set(this.labels, clock.now() / 1000);
    metrics.pendingChanges.set(this.labels, this.desired.pending);
    this.loop.trigger();
  }

  private async sync(full: boolean): Promise<void> {
    const { clock, metrics, rules, logger } = this.deps;
    const startedAt = clock.now();
    const changedAt = this.changedAt;
    const queuedAt = this.queuedAt ?? startedAt;
    this.changedAt = [];
    this.queuedAt = undefined;
    const changes = this.desired.takeChanges();
    metrics.pendingChanges.set(this.labels, this.desired.pending);
    try {
      if (full) await rules.sync({ full, ports: () => this.desired.ports() });
      else if (changes.length > 0) await rules.sync({ full, changes });
    } catch (error) {
      metrics.failures.inc(this.labels);
      this.queuedAt = queuedAt;
      throw error;
    }
    const endedAt = clock.now();
    this.syncedAt = endedAt;
    this.observe(full, (endedAt - startedAt) / 1000);
    for (const at of changedAt) {
      metrics.programmingDuration.observe(this.labels, Math.max(0, endedAt - at) / 1000);
    }
    logger.debug({ full, changes: changes.length, durationMs: endedAt - startedAt }, 'rules synced');
    await this.endStaleFlows(full, changes);
    await this.deps.onSynced();
  }

  private observe(full: boolean, seconds: number): void {
    const { metrics, clock } = this.deps;
    metrics.syncDuration.observe(this.labels, seconds);
    (full ? metrics.fullSyncDuration : metrics.partialSyncDuration).observe(this.labels, seconds);
    metrics.lastSync.set(this.labels, clock.now() / 1000);
  }

  private async endStaleFlows(full: boolean, changes: readonly PortChange[]): Promise<void> {
    if (!this.canTrackFlows) return;
    const { run, family, logger } = this.deps;
    try {
      const filters = full ? staleFlows(await this.listFlows(), this.desired.ports()) : flowsToEnd(changes);
      await endFlows(run, family, filters);
    } catch (err) {
      if (!(err instanceof CommandError)) throw err;
      // The rules are right all the same; only UDP clients with a long-lived socket notice.
      this.canTrackFlows = !err.missing;
      logger.warn({ err }, 'cannot end stale UDP flows');
    }
  }

  private async listFlows(): Promise<string> {
    const { run, family } = this.deps;
    for (const port of this.desired.ports()) if (port.protocol === 'udp') return listUdpFlows(run, family);
    return '';
  }
}
