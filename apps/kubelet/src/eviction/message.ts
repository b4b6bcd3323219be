import { quantityValue, type Pod } from '@naru/api';
import type { ContainerStats, PodStats } from '../stats/summary-types';
import { amountOf, resourceOf, type Observations, type StarvedResource, type Threshold } from './thresholds';

/** Upstream prints bytes in the largest binary unit that loses nothing. */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ['Gi', 2 ** 30],
    ['Mi', 2 ** 20],
    ['Ki', 2 ** 10],
  ] as const) {
    if (bytes !== 0 && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return String(Math.trunc(bytes));
}

function format(resource: StarvedResource, value: number): string {
  return resource === 'memory' || resource === 'ephemeral-storage' ? formatBytes(value) : String(Math.trunc(value));
}

function usageOf(resource: StarvedResource, container: ContainerStats): number | undefined {
  if (resource === 'memory') return container.memory?.workingSetBytes;
  if (resource === 'ephemeral-storage') {
    return (container.rootfs?.usedBytes ?? 0) + (container.logs?.usedBytes ?? 0);
  }
  return undefined;
}

/** Why a pod had to go. Source: pkg/kubelet/eviction evictionMessage. */
export function evictionMessage(
  threshold: Threshold,
  pod: Pod,
  stats: PodStats | undefined,
  observations: Observations,
): string {
  const resource = resourceOf(threshold.signal);
  const observed = observations.get(threshold.signal);
  let message = `The node was low on resource: ${resource}. `;
  if (observed) {
    const quantity = format(resource, Math.trunc(amountOf(threshold.below, observed.capacity)));
    message += `Threshold quantity: ${quantity}, available: ${format(resource, observed.available)}. `;
  }
  for (const container of stats?.containers ?? []) {
    const spec = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
    const request = quantityValue(
      spec.find(({ name }) => name === container.name)?.resources?.requests?.[resource] ?? '0',
    );
    const used = usageOf(resource, container);
    if (used === undefined || used <= request) continue;
    message += `Container ${container.name} was using ${format(resource, used)}, request is ${format(resource, request)}, `;
    message += `has larger consumption of ${resource}. `;
  }
  return message;
}
