import type { PolicyRule } from './rbac';

/** What `wanted` grants and no rule of `held` does, one verb of one resource a rule. Source: rbac validation.Covers. */
export function missingRules(held: readonly PolicyRule[], wanted: readonly PolicyRule[]): PolicyRule[] {
  return wanted.flatMap(singles).filter(single => !held.some(rule => covers(rule, single)));
}

function singles(rule: PolicyRule): PolicyRule[] {
  const found: PolicyRule[] = [];
  const { verbs, apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  for (const verb of verbs) {
    for (const group of apiGroups)
      for (const resource of resources) {
        const single = { verbs: [verb], apiGroups: [group], resources: [resource] };
        if (resourceNames.length === 0) found.push(single);
        else for (const name of resourceNames) found.push({ ...single, resourceNames: [name] });
      }
    for (const url of nonResourceURLs) found.push({ verbs: [verb], nonResourceURLs: [url] });
  }
  return found;
}

function covers(rule: PolicyRule, single: PolicyRule): boolean {
  const { apiGroups = [], resources = [], resourceNames = [], nonResourceURLs = [] } = rule;
  if (!holds(rule.verbs, single.verbs[0]!)) return false;
  const url = single.nonResourceURLs?.[0];
  if (url !== undefined) return nonResourceURLs.some(held => urlCovers(held, url));
  const resource = single.resources![0]!;
  const [, subresource] = resource.split('/');
  const coversResource =
    holds(resources, resource) || (subresource !== undefined && resources.includes(`*/${subresource}`));
  if (!coversResource || !holds(apiGroups, single.apiGroups![0]!)) return false;
  const name = single.resourceNames?.[0];
  return resourceNames.length === 0 || (name !== undefined && resourceNames.includes(name));
}

function holds(list: readonly string[], value: string): boolean {
  return list.includes('*') || list.includes(value);
}

function urlCovers(held: string, wanted: string): boolean {
  return held === '*' || held === wanted || (held.endsWith('*') && wanted.startsWith(held.slice(0, -1)));
}

/** Rules as upstream prints them, the verbs of one resource together, sorted. */
export function describeRules(rules: readonly PolicyRule[]): string {
  const merged = new Map<string, PolicyRule>();
  for (const rule of rules) {
    const key = JSON.stringify([rule.apiGroups, rule.resources, rule.resourceNames, rule.nonResourceURLs]);
    const known = merged.get(key);
    const mergeable = !rule.resourceNames && !rule.nonResourceURLs;
    if (known && mergeable) known.verbs = [...known.verbs, ...rule.verbs];
    else merged.set(known ? `${key}${merged.size}` : key, { ...rule });
  }
  return [...merged.values()].map(describeRule).sort().join('\n');
}

function describeRule({ apiGroups, resources, nonResourceURLs, resourceNames, verbs }: PolicyRule): string {
  const parts = [
    ['APIGroups', apiGroups],
    ['Resources', resources],
    ['NonResourceURLs', nonResourceURLs],
    ['ResourceNames', resourceNames],
    ['Verbs', verbs],
  ] as const;
  return `{${parts.flatMap(([name, values]) => (values?.length ? `${name}:${quoted(values)}` : [])).join(', ')}}`;
}

/** A list of texts in Go's %q. */
export function quoted(values: readonly string[]): string {
  return `[${values.map(value => JSON.stringify(value)).join(' ')}]`;
}
