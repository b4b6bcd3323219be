import type { LabelSelector, Pod } from '@naru/api';
import type { ConfigNode } from '../config/config-node';
import { argumentFields } from '../config/plugin-args';
import type { Handle } from '../framework/types';

/** A constraint for pods that have none of their own; which pods it is about follows from what holds them together. */
export interface DefaultConstraint {
  topologyKey: string;
  maxSkew: number;
  whenUnsatisfiable: 'DoNotSchedule' | 'ScheduleAnyway';
}

/** Upstream's system defaults: spread softly over nodes and zones what belongs together. */
export const systemDefaultConstraints: readonly DefaultConstraint[] = [
  { topologyKey: 'kubernetes.io/hostname', maxSkew: 3, whenUnsatisfiable: 'ScheduleAnyway' },
  { topologyKey: 'topology.kubernetes.io/zone', maxSkew: 5, whenUnsatisfiable: 'ScheduleAnyway' },
];

/** PodTopologySpreadArgs. @throws ConfigError */
export function readDefaultConstraints(args: ConfigNode): readonly DefaultConstraint[] {
  const fields = argumentFields(args, 'defaultConstraints', 'defaultingType');
  const type = fields.defaultingType.choice(['System', 'List'], 'System');
  const constraints = fields.defaultConstraints.items().map(item => {
    const { topologyKey, maxSkew, whenUnsatisfiable, labelSelector } = item.fields(
      'topologyKey',
      'maxSkew',
      'whenUnsatisfiable',
      'labelSelector',
    );
    if (!labelSelector.isAbsent)
      labelSelector.fail('Forbidden: constraint must not define a selector, as they deduced for each pod');
    return {
      topologyKey: topologyKey.text(),
      maxSkew: maxSkew.integer({ min: 1, max: 2 ** 31 - 1 }),
      whenUnsatisfiable: whenUnsatisfiable.choice(['DoNotSchedule', 'ScheduleAnyway']),
    };
  });
  if (type === 'List') return constraints;
  if (constraints.length > 0)
    fields.defaultingType.fail('when .defaultConstraints are specified, defaultingType must be "List"');
  return systemDefaultConstraints;
}

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
