import type { Pod, PodSpec } from '../types';

type Constraint = NonNullable<PodSpec['topologySpreadConstraints']>[number];
type PodTerm = NonNullable<
  NonNullable<NonNullable<PodSpec['affinity']>['podAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>[number];

/**
 * Writes the pod's own values of matchLabelKeys and mismatchLabelKeys into the selectors beside them, in affinity to pods and
 * in spread constraints: who reads the pod need not look at the keys. Source: pkg/registry/core/pod mutatePodAffinity,
 * mutateTopologySpreadConstraints.
 */
export function mergeLabelKeys({ metadata, spec }: Pod): void {
  const labels = metadata?.labels ?? {};
  for (const constraint of spec?.topologySpreadConstraints ?? []) addValues(constraint, labels);
  for (const terms of [spec?.affinity?.podAffinity, spec?.affinity?.podAntiAffinity]) {
    for (const term of terms?.requiredDuringSchedulingIgnoredDuringExecution ?? []) addValues(term, labels);
    for (const { podAffinityTerm } of terms?.preferredDuringSchedulingIgnoredDuringExecution ?? [])
      if (podAffinityTerm) addValues(podAffinityTerm, labels);
  }
}

function addValues(
  selecting: Pick<PodTerm, 'mismatchLabelKeys'> & Pick<Constraint, 'labelSelector' | 'matchLabelKeys'>,
  labels: Readonly<Record<string, string>>,
): void {
  const { labelSelector, matchLabelKeys = [], mismatchLabelKeys = [] } = selecting;
  // Without a selector nothing is selected, whatever the keys.
  if (!labelSelector) return;
  const toRequirements = (keys: readonly string[], operator: string) =>
    keys.flatMap(key => (Object.hasOwn(labels, key) ? [{ key, operator, values: [labels[key]!] }] : []));
  const added = [...toRequirements(matchLabelKeys, 'In'), ...toRequirements(mismatchLabelKeys, 'NotIn')];
  if (added.length > 0) labelSelector.matchExpressions = [...(labelSelector.matchExpressions ?? []), ...added];
}
