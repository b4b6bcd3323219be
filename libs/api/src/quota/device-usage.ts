import { extendedClaimAnnotation } from '../devices/extended-resource';
import type { ResourceClaim } from '../types';
import { count, type Quantities } from './quantities';

const ofClass = '.deviceclass.resource.k8s.io/devices';
const requestsOfClass = 'requests.deviceclass.resource.kubernetes.io/';
/** What "all" may come to. Source: the API's AllocationResultsMaxSize. */
const mostOfAll = 32;

type Request = NonNullable<NonNullable<NonNullable<ResourceClaim['spec']>['devices']>['requests']>[number];

/** Of alternatives each class may be the one that is chosen, by the largest of its alternatives. */
function devicesOf({ exactly, firstAvailable }: Request): Map<string, number> {
  const most = new Map<string, number>();
  for (const { deviceClassName, allocationMode, count: wanted = 0 } of exactly ? [exactly] : (firstAvailable ?? []))
    most.set(deviceClassName, Math.max(most.get(deviceClassName) ?? 0, allocationMode === 'All' ? mostOfAll : wanted));
  return most;
}

/**
 * How many devices of which classes a claim asks for. What was asked for as extended resources is counted under their names with the
 * pod. Source: pkg/quota/v1/evaluator/core/resource_claims.go.
 */
export function addDevices(usage: Quantities, { metadata, spec }: ResourceClaim): Quantities {
  const total = new Map<string, number>();
  for (const request of spec?.devices?.requests ?? [])
    for (const [name, devices] of devicesOf(request)) total.set(name, (total.get(name) ?? 0) + devices);
  const isExtended = metadata?.annotations?.[extendedClaimAnnotation] === 'true';
  for (const [name, devices] of total) {
    usage.set(`${name}${ofClass}`, count(devices));
    if (!isExtended) usage.set(`${requestsOfClass}${name}`, count(devices));
  }
  return usage;
}

/** Whether a name in `hard` is about the devices of claims. */
export function isAboutDevices(name: string): boolean {
  return name.endsWith(ofClass) || name.startsWith(requestsOfClass);
}
