import type { LabelSelector } from './types';

export type Labels = Readonly<Record<string, string | undefined>> | undefined;
export type LabelMatcher = (labels: Labels) => boolean;

/** Compiles matchLabels alone: a Service's selector, a ReplicationController's. An empty map matches everything. */
export function compileLabelMap(map: NonNullable<Labels>): LabelMatcher {
  const wanted = Object.entries(map);
  return labels => wanted.every(([key, value]) => labels?.[key] === value);
}

/**
 * Compiles a metav1.LabelSelector. As upstream: an absent selector matches nothing, an empty one everything.
 * Throws an Error for an operator that does not exist.
 */
export function compileLabelSelector(selector: LabelSelector | undefined): LabelMatcher {
  if (!selector) return () => false;
  const byMap = compileLabelMap(selector.matchLabels ?? {});
  const expressions = (selector.matchExpressions ?? []).map(({ key, operator, values = [] }): LabelMatcher => {
    const set = new Set(values);
    switch (operator) {
      case 'In':
        return labels => labels?.[key] !== undefined && set.has(labels[key]);
      case 'NotIn':
        return labels => labels?.[key] === undefined || !set.has(labels[key]);
      case 'Exists':
        return labels => labels?.[key] !== undefined;
      case 'DoesNotExist':
        return labels => labels?.[key] === undefined;
      default:
        throw new Error(`Cannot compile label selector: "${operator}" is not a valid label selector operator`);
    }
  });
  if (expressions.length === 0) return byMap;
  return labels => byMap(labels) && expressions.every(matches => matches(labels));
}
