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

/** How amounts are added and compared, whatever they are counted in. */
interface Arithmetic<T> {
  add(a: T, b: T): T;
  max(a: T, b: T): T;
}

const numbers: Arithmetic<number> = { add: (a, b) => a + b, max: Math.max };

function merge<T>(into: Map<string, T>, from: ReadonlyMap<string, T>, together: (a: T, b: T) => T): void {
  for (const [name, amount] of from) {
    const before = into.get(name);
    into.set(name, before === undefined ? amount : together(before, amount));
  }
}

type ContainerResources = NonNullable<PodSpec['containers'][number]['resources']>;

/** What the containers of a pod take together at the most, each as `read` counts it; without overhead. */
export function sumOfContainers<T>(
  { spec }: Pod,
  read: (resources: ContainerResources | undefined) => Map<string, T>,
  { add, max }: Arithmetic<T>,
): Map<string, T> {
  const total = new Map<string, T>();
  for (const container of spec?.containers ?? []) merge(total, read(container.resources), add);
  // Sidecars stay for the pod's life; an ordinary init container runs alone beside the sidecars started before it.
  const sidecars = new Map<string, T>();
  const peak = new Map<string, T>();
  for (const container of spec?.initContainers ?? []) {
    const own = read(container.resources);
    if (container.restartPolicy === 'Always') {
      merge(total, own, add);
      merge(sidecars, own, add);
      merge(peak, sidecars, max);
    } else {
      const together = new Map(own);
      merge(together, sidecars, add);
      merge(peak, together, max);
    }
  }
  merge(total, peak, max);
  return total;
}

/** What a pod as a whole, not only each of its containers, may ask for. Source: component-helpers resource.IsSupportedPodLevelResource. */
export function isPodLevelResource(name: string): boolean {
  return name === 'cpu' || name === 'memory' || name.startsWith('hugepages-');
}

/** The pod as a whole asks for something. Source: component-helpers resource.IsPodLevelResourcesSet. */
export function hasPodLevelResources({ spec }: Pod): boolean {
  const { requests = {}, limits = {} } = spec?.resources ?? {};
  return [...Object.keys(requests), ...Object.keys(limits)].some(isPodLevelResource);
}

/** What a pod asks for as a whole stands for what its containers ask for. */
function overlay<T>(total: Map<string, T>, ofPod: ReadonlyMap<string, T>): void {
  for (const [name, amount] of ofPod) if (isPodLevelResource(name)) total.set(name, amount);
}

/** What a pod takes, without overhead. */
export function sumOfPod<T>(
  pod: Pod,
  read: (resources: ContainerResources | undefined) => Map<string, T>,
  arithmetic: Arithmetic<T>,
): Map<string, T> {
  const total = sumOfContainers(pod, read, arithmetic);
  overlay(total, read(pod.spec?.resources));
  return total;
}

/** What the scheduler counts for a pod, with overhead. Source: component-helpers resource.PodRequests. */
export function podRequests(pod: Pod): ResourceAmounts {
  const total = sumOfPod(pod, resources => resourceAmounts(resources?.requests), numbers);
  merge(total, resourceAmounts(pod.spec?.overhead), numbers.add);
  return total;
}

/** Requests with upstream's stand-ins for containers that ask for nothing: 100 millicores and 200 MiB each. */
export function podRequestsNonZero(pod: Pod): ResourceAmounts {
  const read = (resources: ContainerResources | undefined): ResourceAmounts => {
    const amounts = resourceAmounts(resources?.requests);
    if (!amounts.has('cpu')) amounts.set('cpu', 100);
    if (!amounts.has('memory')) amounts.set('memory', 200 * 1024 * 1024);
    return amounts;
  };
  const total = sumOfContainers(pod, read, numbers);
  overlay(total, resourceAmounts(pod.spec?.resources?.requests));
  merge(total, resourceAmounts(pod.spec?.overhead), numbers.add);
  return total;
}

/** What the pod, or its containers that have limits together, may use. Source: component-helpers resource.PodLimits. */
export function podLimits(pod: Pod): ResourceAmounts {
  return sumOfPod(pod, resources => resourceAmounts(resources?.limits), numbers);
}
