import { endpointSlices, services, type EndpointSlice, type Service } from '@naru/api';
import type { InformerFactory, InformerHandler } from '@naru/client';
import type { Clock, Logger } from '@naru/foundation';
import { CommandError, type CommandRunner } from './command';
import { endFlows, flowsToEnd, listUdpFlows, staleFlows } from './conntrack';
import { DesiredState } from './desired/desired-state';
import type { PortChange } from './desired/service-port';
import type { ProxyMetrics } from './metrics';
import type { RuleSync } from './modes/mode';
import { SyncLoop } from './sync-loop';

const lastChangeAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time';

/** Does more with Services than rules can. */
export interface DesiredFollower {
  follow(desired: DesiredState): Promise<void> | void;
  stop(): Promise<void>;
}

export interface ServiceProxyDeps {
  nodeName: string;
  rules: RuleSync;
  informers: InformerFactory;
  run: CommandRunner;
  metrics: ProxyMetrics;
  /** Are told after each sync what the rules say now. */
  followers: readonly DesiredFollower[];
  clock: Clock;
  logger: Logger;
  minSyncPeriodMs: number;
  fullSyncPeriodMs: number;
}

/** Services and EndpointSlices to rules: tells the desired state of events, and the kernel of what follows from them. */
export class ServiceProxy {
  readonly desired: DesiredState;
  private readonly loop: SyncLoop;
  /** Milliseconds since the epoch at which the changes that wait were made, by the slices' annotation. */
  private changedAt: number[] = [];
  private queuedAt: number | undefined;
  private syncedAt: number | undefined;
  private canTrackFlows = true;
  /** Nothing is synced before everything was heard of: an incomplete picture would cut connections. */
  private complete = false;

  constructor(private readonly deps: ServiceProxyDeps) {
    const { clock, logger } = deps;
    this.desired = new DesiredState({ nodeName: deps.nodeName });
    this.loop = new SyncLoop({
      name: 'services',
      sync: full => this.sync(full),
      clock,
      logger,
      minPeriodMs: deps.minSyncPeriodMs,
      fullPeriodMs: deps.fullSyncPeriodMs,
    });
    deps.informers.informer<Service>({ type: services }).addHandler(this.serviceHandler());
    deps.informers.informer<EndpointSlice>({ type: endpointSlices }).addHandler(this.sliceHandler());
  }

  /** The informers have their first lists. */
  start(): void {
    this.complete = true;
    this.loop.triggerFull();
  }

  setZone(zone: string | undefined): void {
    this.desired.setZone(zone);
    this.changed();
  }

  async stop(): Promise<void> {
    await this.loop.stop();
    for (const follower of this.deps.followers) await follower.stop();
  }

  /** When rules were last synced, in milliseconds since the epoch; undefined before the first time. */
  get lastSyncedAt(): number | undefined {
    return this.syncedAt;
  }

  /** Since when a change waits, in milliseconds since the epoch; undefined when none does. */
  get waitingSince(): number | undefined {
    return this.queuedAt;
  }

  private serviceHandler(): InformerHandler<Service> {
    const { metrics } = this.deps;
    const set = (service: Service): void => {
      metrics.serviceChanges.inc();
      this.desired.setService(service);
      this.changed();
    };
    return {
      onAdd: set,
      onUpdate: set,
      onDelete: service => {
        metrics.serviceChanges.inc();
        this.desired.deleteService(service);
        this.changed();
      },
    };
  }

  private sliceHandler(): InformerHandler<EndpointSlice> {
    const { metrics } = this.deps;
    const set = (slice: EndpointSlice): void => {
      metrics.endpointChanges.inc();
      const at = Date.parse(slice.metadata?.annotations?.[lastChangeAnnotation] ?? '');
      if (this.complete && !Number.isNaN(at) && this.changedAt.length < 1000) this.changedAt.push(at);
      this.desired.setSlice(slice);
      this.changed();
    };
    return {
      onAdd: set,
      onUpdate: (slice, old) => {
        // Its label may name another Service now.
        if (slice !== old) this.desired.deleteSlice(old);
        set(slice);
      },
      onDelete: slice => {
        metrics.endpointChanges.inc();
        this.desired.deleteSlice(slice);
        this.changed();
      },
    };
  }

  private changed(): void {
    if (!this.complete) return;
    const { clock, metrics } = this.deps;
    this.queuedAt ??= clock.now();
    metrics.lastQueued.set(clock.now() / 1000);
    metrics.pendingChanges.set(this.desired.pending);
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
    metrics.pendingChanges.set(this.desired.pending);
    try {
      if (full) await rules.sync({ full, ports: () => this.desired.ports() });
      else if (changes.length > 0) await rules.sync({ full, changes });
    } catch (error) {
      metrics.failures.inc();
      this.queuedAt = queuedAt;
      throw error;
    }
    const endedAt = clock.now();
    this.syncedAt = endedAt;
    const seconds = (endedAt - startedAt) / 1000;
    metrics.syncDuration.observe(seconds);
    (full ? metrics.fullSyncDuration : metrics.partialSyncDuration).observe(seconds);
    metrics.lastSync.set(endedAt / 1000);
    for (const at of changedAt) metrics.programmingDuration.observe(Math.max(0, endedAt - at) / 1000);
    logger.debug({ full, changes: changes.length, durationMs: endedAt - startedAt }, 'rules synced');
    await this.endStaleFlows(full, changes);
    for (const follower of this.deps.followers) await follower.follow(this.desired);
  }

  private async endStaleFlows(full: boolean, changes: readonly PortChange[]): Promise<void> {
    if (!this.canTrackFlows) return;
    const { run, logger } = this.deps;
    try {
      const filters = full ? staleFlows(await this.listFlows(), this.desired.ports()) : flowsToEnd(changes);
      await endFlows(run, filters);
    } catch (err) {
      if (!(err instanceof CommandError)) throw err;
      // The rules are right all the same; only UDP clients with a long-lived socket notice.
      this.canTrackFlows = !err.missing;
      logger.warn({ err }, 'cannot end stale UDP flows');
    }
  }

  private async listFlows(): Promise<string> {
    for (const port of this.desired.ports()) if (port.protocol === 'udp') return listUdpFlows(this.deps.run);
    return '';
  }
}
