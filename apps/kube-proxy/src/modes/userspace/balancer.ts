import { createHash } from 'node:crypto';
import { BoundedMap } from '@naru/foundation';
import { endpointKey, type Endpoint } from '../../desired/service-port';
import type { Scheduler } from '../ipvs/virtual-server';

/** A choice that has been made: its connection counts until it is released. */
export interface Lease {
  readonly endpoint: Endpoint;
  release(): void;
}

interface Sticky {
  key: string;
  expiresAt: number;
}

export interface BalancerOptions {
  scheduler: Scheduler;
  /** The address that clients ask: what dh goes by. */
  address: string;
  now: () => number;
}

/** Clients that are remembered for their affinity; the oldest are forgotten first. */
const maxSticky = 65_536;

/** Chooses among the endpoints of one address and port, by the algorithms of IPVS; all endpoints weigh the same. */
export class Balancer {
  private endpoints: readonly Endpoint[] = [];
  private affinityMs: number | undefined;
  private readonly active = new Map<string, number>();
  private readonly sticky = new BoundedMap<string, Sticky>(maxSticky);
  private turn = -1;

  constructor(private readonly options: BalancerOptions) {}

  set(endpoints: readonly Endpoint[], affinitySeconds: number | undefined): void {
    this.endpoints = endpoints;
    this.affinityMs = affinitySeconds === undefined ? undefined : affinitySeconds * 1000;
    if (this.affinityMs === undefined) this.sticky.clear();
  }

  has(endpoint: Endpoint): boolean {
    return this.endpoints.some(known => endpointKey(known) === endpointKey(endpoint));
  }

  /** Undefined when there is nobody to ask. `refused`: endpoints that this client has tried in vain. */
  choose(client: string, refused: ReadonlySet<string> = new Set()): Lease | undefined {
    const able = this.endpoints.filter(endpoint => !refused.has(endpointKey(endpoint)));
    const endpoint = this.remembered(client, able) ?? this.pick(client, able);
    if (!endpoint) return undefined;
    const key = endpointKey(endpoint);
    this.remember(client, key);
    this.active.set(key, this.activeOf(endpoint) + 1);
    let released = false;
    return {
      endpoint,
      release: () => {
        if (released) return;
        released = true;
        const left = this.activeOf(endpoint) - 1;
        if (left > 0) this.active.set(key, left);
        else this.active.delete(key);
      },
    };
  }

  private pick(client: string, able: readonly Endpoint[]): Endpoint | undefined {
    switch (this.options.scheduler) {
      case 'rr':
        return able[++this.turn % able.length];
      case 'dh':
        return able[hash(this.options.address) % able.length];
      case 'sh':
        return able[hash(client) % able.length];
      case 'nq':
        return able.find(endpoint => this.activeOf(endpoint) === 0) ?? this.leastBusy(able);
      case 'lc':
      case 'sed':
        // With equal weights the shortest expected delay is where the fewest connections are.
        return this.leastBusy(able);
    }
  }

  /** Among equals the next in turn, so that short connections do not all go to the first. */
  private leastBusy(able: readonly Endpoint[]): Endpoint | undefined {
    this.turn++;
    let best: Endpoint | undefined;
    for (let step = 0; step < able.length; step++) {
      const candidate = able[(this.turn + step) % able.length] as Endpoint;
      if (!best || this.activeOf(candidate) < this.activeOf(best)) best = candidate;
    }
    return best;
  }

  private activeOf(endpoint: Endpoint): number {
    return this.active.get(endpointKey(endpoint)) ?? 0;
  }

  private remembered(client: string, able: readonly Endpoint[]): Endpoint | undefined {
    const sticky = this.sticky.get(client);
    if (!sticky || sticky.expiresAt < this.options.now()) return undefined;
    return able.find(endpoint => endpointKey(endpoint) === sticky.key);
  }

  private remember(client: string, key: string): void {
    if (this.affinityMs === undefined) return;
    this.sticky.set(client, { key, expiresAt: this.options.now() + this.affinityMs });
  }
}

function hash(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE();
}
