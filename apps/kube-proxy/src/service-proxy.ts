import { endpointSlices, services, type EndpointSlice, type Service } from '@naru/api';
import type { InformerFactory, InformerHandler } from '@naru/client';
import type { DesiredState } from './desired/desired-state';
import type { IpFamily } from './desired/ip-family';
import { FamilyProxy, type FamilyProxyDeps } from './family-proxy';
import type { RuleSync } from './modes/mode';

const lastChangeAnnotation = 'endpoints.kubernetes.io/last-change-trigger-time';

/** Does more with Services than rules can. */
export interface DesiredFollower {
  /** One state for each family. */
  follow(desired: readonly DesiredState[]): Promise<void> | void;
  stop(): Promise<void>;
}

export interface ServiceProxyDeps extends Omit<FamilyProxyDeps, 'family' | 'rules' | 'onSynced'> {
  /** The families that are served here, each with rules of its own, as upstream's proxiers. */
  families: readonly { family: IpFamily; rules: RuleSync }[];
  informers: InformerFactory;
  /** Are told after each sync what the rules say now. */
  followers: readonly DesiredFollower[];
}

/** Services and EndpointSlices to rules: tells the desired states of events, and the kernel of what follows from them. */
export class ServiceProxy {
  private readonly proxies: readonly FamilyProxy[];
  /** Nothing is synced before everything was heard of: an incomplete picture would cut connections. */
  private complete = false;
  private telling: Promise<void> = Promise.resolve();

  constructor(private readonly deps: ServiceProxyDeps) {
    this.proxies = deps.families.map(
      ({ family, rules }) => new FamilyProxy({ ...deps, family, rules, onSynced: () => this.tellFollowers() }),
    );
    deps.informers.informer<Service>({ type: services }).addHandler(this.serviceHandler());
    deps.informers.informer<EndpointSlice>({ type: endpointSlices }).addHandler(this.sliceHandler());
  }

  /** The informers have their first lists. */
  start(): void {
    this.complete = true;
    for (const proxy of this.proxies) proxy.start();
  }

  setZone(zone: string | undefined): void {
    this.change(desired => desired.setZone(zone));
  }

  async stop(): Promise<void> {
    await Promise.all(this.proxies.map(proxy => proxy.stop()));
    for (const follower of this.deps.followers) await follower.stop();
  }

  /** When the rules of every family had been synced, in milliseconds since the epoch; undefined before the first time. */
  get lastSyncedAt(): number | undefined {
    const times = this.proxies.map(({ lastSyncedAt }) => lastSyncedAt);
    return times.reduce((first, at) => (first === undefined || at === undefined ? undefined : Math.min(first, at)));
  }

  /** Since when a change of any family waits, in milliseconds since the epoch; undefined when none does. */
  get waitingSince(): number | undefined {
    const times = this.proxies.flatMap(({ waitingSince }) => (waitingSince === undefined ? [] : [waitingSince]));
    return times.length === 0 ? undefined : Math.min(...times);
  }

  private change(tell: (desired: DesiredState) => void, changedAt?: number): void {
    for (const proxy of this.proxies) {
      tell(proxy.desired);
      if (this.complete) proxy.changed(changedAt);
    }
  }

  private serviceHandler(): InformerHandler<Service> {
    const { metrics } = this.deps;
    const set = (service: Service): void => {
      metrics.serviceChanges.inc();
      this.change(desired => desired.setService(service));
    };
    return {
      onAdd: set,
      onUpdate: set,
      onDelete: service => {
        metrics.serviceChanges.inc();
        this.change(desired => desired.deleteService(service));
      },
    };
  }

  private sliceHandler(): InformerHandler<EndpointSlice> {
    const { metrics } = this.deps;
    const set = (slice: EndpointSlice, old?: EndpointSlice): void => {
      metrics.endpointChanges.inc();
      const at = Date.parse(slice.metadata?.annotations?.[lastChangeAnnotation] ?? '');
      this.change(
        desired => {
          // Its label may name another Service now.
          if (old && slice !== old) desired.deleteSlice(old);
          desired.setSlice(slice);
        },
        Number.isNaN(at) ? undefined : at,
      );
    };
    return {
      onAdd: slice => set(slice),
      onUpdate: set,
      onDelete: slice => {
        metrics.endpointChanges.inc();
        this.change(desired => desired.deleteSlice(slice));
      },
    };
  }

  /** One family after the other: the followers are those of both. */
  private tellFollowers(): Promise<void> {
    const states = this.proxies.map(({ desired }) => desired);
    const told = this.telling.then(async () => {
      for (const follower of this.deps.followers) await follower.follow(states);
    });
    this.telling = told.catch(() => undefined);
    return told;
  }
}
