import { compileLabelSelector, type LabelMatcher, type Labels, type Pod, type PodSpec } from '@naru/api';

type RawTerm = NonNullable<
  NonNullable<NonNullable<PodSpec['affinity']>['podAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>[number];

/** A pod (anti-)affinity term, compiled. */
export interface AffinityTerm {
  readonly topologyKey: string;
  readonly weight: number;
  /** Identifies what the term selects: equal ids select the same pods. */
  readonly id: string;
  readonly namespaces: ReadonlySet<string>;
  readonly namespaceMatches: LabelMatcher | undefined;
  readonly labelsMatch: LabelMatcher;
}

export interface PodAffinity {
  readonly required: readonly AffinityTerm[];
  readonly requiredAnti: readonly AffinityTerm[];
  readonly preferred: readonly AffinityTerm[];
  readonly preferredAnti: readonly AffinityTerm[];
}

function compileTerm(pod: Pod, raw: RawTerm, weight: number): AffinityTerm {
  // The values of matchLabelKeys and mismatchLabelKeys are in the selector: the api-server has put them there.
  const selector = raw.labelSelector;
  const own = !raw.namespaces?.length && !raw.namespaceSelector;
  const namespaces = own ? [pod.metadata?.namespace ?? ''] : (raw.namespaces ?? []);
  return {
    topologyKey: raw.topologyKey,
    weight,
    id: JSON.stringify([[...namespaces].sort(), raw.namespaceSelector, selector]),
    namespaces: new Set(namespaces),
    namespaceMatches: raw.namespaceSelector ? compileLabelSelector(raw.namespaceSelector) : undefined,
    labelsMatch: compileLabelSelector(selector),
  };
}

export function compilePodAffinity(pod: Pod): PodAffinity | undefined {
  const affinity = pod.spec?.affinity?.podAffinity;
  const anti = pod.spec?.affinity?.podAntiAffinity;
  if (!affinity && !anti) return undefined;
  const required = (terms: RawTerm[] | undefined): AffinityTerm[] =>
    (terms ?? []).map(term => compileTerm(pod, term, 1));
  const preferred = (terms: { weight: number; podAffinityTerm: RawTerm }[] | undefined): AffinityTerm[] =>
    (terms ?? []).map(({ weight, podAffinityTerm }) => compileTerm(pod, podAffinityTerm, weight));
  return {
    required: required(affinity?.requiredDuringSchedulingIgnoredDuringExecution),
    requiredAnti: required(anti?.requiredDuringSchedulingIgnoredDuringExecution),
    preferred: preferred(affinity?.preferredDuringSchedulingIgnoredDuringExecution),
    preferredAnti: preferred(anti?.preferredDuringSchedulingIgnoredDuringExecution),
  };
}

/** Does the term select this pod? */
export function termSelects(term: AffinityTerm, pod: Pod, namespaceLabels: (namespace: string) => Labels): boolean {
  const namespace = pod.metadata?.namespace ?? '';
  if (!term.namespaces.has(namespace) && !term.namespaceMatches?.(namespaceLabels(namespace))) return false;
  return term.labelsMatch(pod.metadata?.labels);
}
