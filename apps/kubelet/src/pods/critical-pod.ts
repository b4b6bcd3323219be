import type { Pod } from '@naru/api';
import { staticAnnotations } from './static-pods';

const systemCriticalPriority = 2_000_000_000;

/** A pod that the node needs more than its resources: static, or of a system priority. Source: pkg/kubelet/types IsCriticalPod. */
export function isCritical(pod: Pod): boolean {
  const annotations = pod.metadata?.annotations ?? {};
  const isStatic =
    (annotations[staticAnnotations.source] ?? 'api') !== 'api' || staticAnnotations.mirror in annotations;
  return isStatic || (pod.spec?.priority ?? 0) >= systemCriticalPriority;
}
