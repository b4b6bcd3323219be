import type { DeviceClass, Node, ResourceClaim, Stored } from '@naru/api';
import type { Lister } from '@naru/client';
import { concerns, satisfies } from './constraints';
import type { AllocationResult, OfferedDevice } from './device-view';
import { placeOf, type Offers } from './offers';
import { choicesOf, type Alternative, type Choice } from './requests';
import { SharedCounters } from './shared-counters';

/** Source: the API's AllocationResultsMaxSize. */
const maxResults = 32;
/** Devices that are tried on one node before the search gives up: constraints can make it exponential. */
const maxTrials = 20_000;

/** What was found for a claim. */
export interface Allocated {
  claim: Stored<ResourceClaim>;
  allocation: AllocationResult;
}

interface Chosen {
  alternative: Alternative;
  offered: OfferedDevice;
}

interface Open {
  claim: Stored<ResourceClaim>;
  choices: Choice[];
  chosen: Chosen[];
}

/**
 * Finds devices on a node for claims that have none, all or nothing: undefined when there are not enough. A search with
 * backtracking, the first device that fits first. Source: dynamic-resource-allocation/structured.
 * @throws Error, in upstream's words, for claims that no node could satisfy as they are
 */
export function allocate(
  claims: readonly Stored<ResourceClaim>[],
  node: Node,
  offers: Offers,
  { classes, isTaken }: { classes: Lister<DeviceClass>; isTaken: (id: string) => boolean },
): Allocated[] | undefined {
  const open = claims.map(claim => ({ claim, choices: choicesOf(claim, classes), chosen: [] }));
  if (!new Search(open, offers, isTaken).run()) return undefined;
  return open.map(each => ({ claim: each.claim, allocation: resultOf(each, node.metadata?.name ?? '') }));
}

class Search {
  private readonly counters: SharedCounters;
  /** Devices that this search has given out. */
  private readonly used = new Set<string>();
  private trials = 0;
  /** What matches an alternative does not change while searching. */
  private readonly matching = new Map<Alternative, readonly OfferedDevice[]>();

  constructor(
    private readonly open: readonly Open[],
    private readonly offers: Offers,
    private readonly isTaken: (id: string) => boolean,
  ) {
    this.counters = new SharedCounters(offers, isTaken);
  }

  run(): boolean {
    return this.claim(0);
  }

  private claim(index: number): boolean {
    const claim = this.open[index];
    return !claim || this.request(claim, 0, () => this.claim(index + 1));
  }

  private request(claim: Open, index: number, rest: () => boolean): boolean {
    const choice = claim.choices[index];
    if (!choice) return rest();
    const next = (): boolean => this.request(claim, index + 1, rest);
    return choice.some(alternative => this.alternative(claim, alternative, next));
  }

  private alternative(claim: Open, alternative: Alternative, rest: () => boolean): boolean {
    const candidates = this.candidates(alternative);
    if (alternative.count !== undefined) return this.some(claim, alternative, candidates, 0, alternative.count, rest);
    // All of a pool that is being changed cannot be known, and none is not all.
    if (this.offers.incomplete !== undefined || candidates.length === 0) return false;
    return this.some(claim, alternative, candidates, 0, candidates.length, rest);
  }

  /** `count` of the candidates from `from` on, and then the rest. */
  private some(
    claim: Open,
    alternative: Alternative,
    candidates: readonly OfferedDevice[],
    from: number,
    count: number,
    rest: () => boolean,
  ): boolean {
    if (count === 0) return rest();
    if (claim.chosen.length >= maxResults) return false;
    for (let i = from; i <= candidates.length - count; i++) {
      if (++this.trials > maxTrials) return false;
      const offered = candidates[i] as OfferedDevice;
      if (!this.take(claim, alternative, offered)) continue;
      if (this.some(claim, alternative, candidates, i + 1, count - 1, rest)) return true;
      this.give(claim, offered);
    }
    return false;
  }

  private take({ claim, chosen }: Open, alternative: Alternative, offered: OfferedDevice): boolean {
    if (!satisfies(claim.spec?.devices?.constraints ?? [], chosen, alternative, offered)) return false;
    if (!alternative.adminAccess) {
      if (this.isTaken(offered.id) || this.used.has(offered.id) || !this.counters.take(offered)) return false;
      this.used.add(offered.id);
    }
    chosen.push({ alternative, offered });
    return true;
  }

  private give({ chosen }: Open, offered: OfferedDevice): void {
    if (chosen.pop()?.alternative.adminAccess) return;
    this.used.delete(offered.id);
    this.counters.give(offered);
  }

  private candidates(alternative: Alternative): readonly OfferedDevice[] {
    let found = this.matching.get(alternative);
    if (!found) {
      found = this.offers.devices.filter(offered => alternative.matches(offered));
      this.matching.set(alternative, found);
    }
    return found;
  }
}

function resultOf({ claim, chosen }: Open, nodeName: string): AllocationResult {
  const alternatives = [...new Set(chosen.map(({ alternative }) => alternative))];
  const ofClasses = alternatives.flatMap(({ name, deviceClass }) =>
    (deviceClass.spec?.config ?? []).map(({ opaque }) => ({ source: 'FromClass', requests: [name], opaque })),
  );
  const ofClaim = (claim.spec?.devices?.config ?? [])
    .filter(({ requests }) => alternatives.some(each => concerns(requests, each)))
    .map(config => ({ source: 'FromClaim', ...config }));
  const config = [...ofClasses, ...ofClaim];
  const nodeSelector = placeOf(
    chosen.map(({ offered }) => offered),
    nodeName,
  );
  return {
    devices: {
      results: chosen.map(({ alternative, offered: { device, slice } }) => ({
        request: alternative.name,
        driver: slice.driver,
        pool: slice.pool.name,
        device: device.name,
        ...(alternative.adminAccess ? { adminAccess: true } : {}),
        ...(alternative.tolerations?.length ? { tolerations: alternative.tolerations } : {}),
      })),
      ...(config.length > 0 ? { config } : {}),
    },
    ...(nodeSelector ? { nodeSelector } : {}),
  };
}
