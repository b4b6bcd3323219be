import {
  addQuantities,
  coveredNames,
  formatQuantities,
  parseQuantities,
  quotaMatches,
  quotaUsage,
  type KubeObject,
  type Quantities,
  type ResourceQuota,
  type ResourceType,
} from '@naru/api';

/** The objects of one resource in the quota's namespace. */
export interface Counted {
  type: ResourceType;
  objects: readonly KubeObject[];
}

/** `status.used` by what there is; of names that no resource covers nothing is said, so admission refuses them. */
export function usedBy(quota: ResourceQuota, counted: readonly Counted[], nowMs: number): Record<string, string> {
  const hard = Object.keys(quota.spec?.hard ?? {});
  let used: Quantities = new Map();
  for (const { type, objects } of counted) {
    const covered = coveredNames(type, hard);
    if (covered.length === 0) continue;
    const zero = Object.fromEntries(covered.map(name => [name, '0']));
    used = addQuantities(used, parseQuantities(zero));
    for (const object of objects) {
      if (!quotaMatches(quota, type, object, hard)) continue;
      const usage = quotaUsage(type, object, nowMs);
      used = addQuantities(used, new Map([...usage].filter(([name]) => covered.includes(name))));
    }
  }
  return formatQuantities(used);
}
