import { parseNano } from './quantity';
import type { Pod } from './types';

export type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort';

const counted = ['cpu', 'memory'];

type Amounts = Record<string, string | undefined>;

/** status.qosClass. Source: pkg/apis/core/v1/helper/qos.ComputePodQOS. */
export function qosClassOf(pod: Pod): QosClass {
  const { spec } = pod;
  const parts = hasAny(spec?.resources)
    ? [spec?.resources]
    : [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].map(c => c.resources);
  const requests = new Map<string, bigint>();
  const limits = new Map<string, bigint>();
  let allLimited = true;
  for (const resources of parts) {
    // Static pods come without defaults: what is limited and not requested is requested up to the limit.
    sum(requests, { ...resources?.limits, ...resources?.requests });
    if (sum(limits, resources?.limits) < counted.length) allLimited = false;
  }
  if (requests.size === 0 && limits.size === 0) return 'BestEffort';
  const sameAmounts =
    requests.size === limits.size && [...requests].every(([name, amount]) => limits.get(name) === amount);
  return allLimited && sameAmounts ? 'Guaranteed' : 'Burstable';
}

function hasAny(resources: { requests?: Amounts | undefined; limits?: Amounts | undefined } | undefined): boolean {
  return counted.some(name => resources?.requests?.[name] ?? resources?.limits?.[name]);
}

/** How many of the counted resources were above zero. */
function sum(into: Map<string, bigint>, amounts: Amounts | undefined): number {
  let found = 0;
  for (const name of counted) {
    const text = amounts?.[name];
    const amount = text === undefined ? 0n : parseNano(text);
    if (amount <= 0n) continue;
    found++;
    into.set(name, (into.get(name) ?? 0n) + amount);
  }
  return found;
}
