import { quantityMilliValue, quantityValue } from './quantity';
import type { Pod, PodSpec } from './types';

/** Resource name → amount: millicores for cpu, whole units (bytes, devices) for everything else. */
export type ResourceAmounts = Map<string, number>;

/** Converts a ResourceList. Throws for what is not a quantity. */
export function resourceAmounts(list: Record<string, string | undefined> | undefined): ResourceAmounts {
  const amounts: ResourceAmounts = new Map();
  for (const [name, text] of Object.entries(list ?? {})) {
    if (text === undefined) continue;
    amounts.set(name, name === 'cpu' ? quantityMilliValue(text) : quantityValue(text));
  }
  return amounts;
}

function add(into: ResourceAmounts, from: ResourceAmounts): void {
  for (const [name, amount] of from) into.set(name, (into.get(name) ?? 0) + amount);
}

function raise(into: ResourceAmounts, from: ResourceAmounts): void {
  for (const [name, amount] of from) into.set(name, Math.max(into.get(name) ?? 0, amount));
}

type ContainerResources = NonNullable<PodSpec['containers'][number]['resources']>;

function sum(pod: Pod, read: (resources: ContainerResources | undefined) => ResourceAmounts): ResourceAmounts {
  const total: ResourceAmounts = new Map();
  for (const container of pod.spec?.containers ?? []) add(total, read(container.resources));
  // Sidecars stay for the pod's life; an ordinary init container runs alone beside the sidecars started before it.
  const sidecars: ResourceAmounts = new Map();
  const peak: ResourceAmounts = new Map();
  for (const container of pod.spec?.initContainers ?? []) {
    const own = read(container.resources);
    if (container.restartPolicy === 'Always') {
      add(total, own);
      add(sidecars, own);
      raise(peak, sidecars);
    } else {
      const together: ResourceAmounts = new Map(own);
      add(together, sidecars);
      raise(peak, together);
    }
  }
  raise(total, peak);
  return total;
}

/** What the scheduler counts for a pod, with overhead. Source: component-helpers resource.PodRequests. */
export function podRequests(pod: Pod): ResourceAmounts {
  const total = sum(pod, resources => resourceAmounts(resources?.requests));
  add(total, resourceAmounts(pod.spec?.overhead));
  return total;
}

/** Requests with upstream's stand-ins for containers that ask for nothing: 100 millicores and 200 MiB each. */
export function podRequestsNonZero(pod: Pod): ResourceAmounts {
  const total = sum(pod, resources => {
    const amounts = resourceAmounts(resources?.requests);
    if (!amounts.has('cpu')) amounts.set('cpu', 100);
    if (!amounts.has('memory')) amounts.set('memory', 200 * 1024 * 1024);
    return amounts;
  });
  add(total, resourceAmounts(pod.spec?.overhead));
  return total;
}

/** What the containers that have limits may use together. Source: component-helpers resource.PodLimits. */
export function podLimits(pod: Pod): ResourceAmounts {
  return sum(pod, resources => resourceAmounts(resources?.limits));
}
