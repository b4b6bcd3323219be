import type { Container, Pod } from '@naru/api';
import { isSidecar } from '../pods/restart-rule';

/** What all containers of a pod need together: init containers give theirs on to those that follow, sidecars keep it. */
export function ofWholePod(pod: Pod, read: (container: Container) => number): number {
  let [peak, kept] = [0, 0];
  for (const container of pod.spec?.initContainers ?? []) {
    const count = read(container);
    if (isSidecar(container)) kept += count;
    else peak = Math.max(peak, kept + count);
  }
  for (const container of pod.spec?.containers ?? []) kept += read(container);
  return Math.max(peak, kept);
}
