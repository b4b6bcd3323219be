import type { LabelSelector, Pod } from '@naru/api';
import type { Handle } from '../framework/types';

/** Upstream's system defaults: spread softly over nodes and zones what belongs together. */
export const systemDefaultConstraints = [
  { topologyKey: 'kubernetes.io/hostname', maxSkew: 3 },
  { topologyKey: 'topology.kubernetes.io/zone', maxSkew: 5 },
] as const;

/**
 * Which pods belong together with this one: those that the Services selecting it and its ReplicaSet or StatefulSet have
 * in common. Source: helper.DefaultSelector. Undefined when nothing owns or selects the pod.
 */
export function defaultSelector(pod: Pod, { listers }: Handle): LabelSelector | undefined {
  const { namespace, labels = {}, ownerReferences } = pod.metadata ?? {};
  const matchLabels: Record<string, string> = {};
  const matchExpressions: NonNullable<LabelSelector['matchExpressions']> = [];
  for (const { spec } of listers.services.list(namespace)) {
    const selector = Object.entries(spec?.selector ?? {});
    if (selector.length > 0 && selector.every(([key, value]) => labels[key] === value))
      Object.assign(matchLabels, spec?.selector);
  }
  const owner = ownerReferences?.find(reference => reference.controller);
  if (owner) {
    const lister =
      owner.kind === 'ReplicaSet'
        ? listers.replicaSets
        : owner.kind === 'StatefulSet'
          ? listers.statefulSets
          : undefined;
    const selector = lister?.get({ namespace, name: owner.name })?.spec?.selector;
    Object.assign(matchLabels, selector?.matchLabels);
    matchExpressions.push(...(selector?.matchExpressions ?? []));
  }
  if (Object.keys(matchLabels).length === 0 && matchExpressions.length === 0) return undefined;
  return { matchLabels, ...(matchExpressions.length > 0 ? { matchExpressions } : {}) };
}
