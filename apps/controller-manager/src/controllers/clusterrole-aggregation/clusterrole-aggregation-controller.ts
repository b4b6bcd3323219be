import { clusterRoles, compileLabelSelector, type ClusterRole, type Stored } from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { canonicalJson, equalJson } from '../../framework/canonical';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';

type Rules = NonNullable<ClusterRole['rules']>;

/** The rules of all roles that the aggregation rule selects, each once, in the order of the roles' names. */
export function aggregatedRules(role: Stored<ClusterRole>, all: readonly Stored<ClusterRole>[]): Rules {
  const selectors = (role.aggregationRule?.clusterRoleSelectors ?? []).map(compileLabelSelector);
  const seen = new Set<string>();
  const rules: Rules = [];
  const sorted = [...all].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  for (const candidate of sorted) {
    if (candidate.metadata.name === role.metadata.name) continue;
    if (!selectors.some(matches => matches(candidate.metadata.labels))) continue;
    for (const rule of candidate.rules ?? []) {
      const id = canonicalJson(rule);
      if (!seen.has(id)) rules.push(rule);
      seen.add(id);
    }
  }
  return rules;
}

async function reconcile(key: string, { informers, client }: ControllerDeps): Promise<void> {
  const lister = informers.lister(clusterRoles);
  const role = lister.get(parseKey(key));
  if (!role?.aggregationRule || role.metadata.deletionTimestamp) return;
  const rules = aggregatedRules(role, lister.list());
  if (!equalJson(rules, role.rules ?? [])) await client.update(clusterRoles, { ...role, rules });
}

/** Fills ClusterRoles that are made up of others. */
export const clusterRoleAggregationController: Controller = {
  name: 'clusterrole-aggregation-controller',
  watches: ({ informers }) => [
    // Any role may be part of any aggregated one; those are few.
    watch(clusterRoles, () =>
      informers
        .lister(clusterRoles)
        .list()
        .filter(({ aggregationRule }) => aggregationRule)
        .map(role => objectKey(role)),
    ),
  ],
  build: deps => ({ reconcile: key => reconcile(key, deps) }),
};
