import { deepEqual, type ClusterRole, type KubeObject } from '@naru/api';

const autoupdate = 'rbac.authorization.kubernetes.io/autoupdate';

/** A role that is made up of others leaves its rules to the controller that puts it together. */
export function keepsRole(current: KubeObject, wanted: KubeObject): KubeObject | undefined {
  if (isTheirs(current)) return undefined;
  const { aggregationRule, metadata } = wanted as ClusterRole;
  const labels = { ...current.metadata?.labels, ...metadata?.labels };
  const labelled = { ...current, metadata: { ...current.metadata, labels } };
  const next = aggregationRule
    ? { aggregationRule, ...labelled }
    : (keepsMembers(labelled, wanted, 'rules') ?? labelled);
  return deepEqual(next, current) ? undefined : next;
}

/** A binding keeps whom an administrator has added. */
export function keepsSubjects(current: KubeObject, wanted: KubeObject): KubeObject | undefined {
  return isTheirs(current) ? undefined : keepsMembers(current, wanted, 'subjects');
}

/** An administrator has taken the object over, and says so. */
function isTheirs({ metadata }: KubeObject): boolean {
  return metadata?.annotations?.[autoupdate] === 'false';
}

/** Adds what is missing; what an administrator has added stays. */
function keepsMembers(current: KubeObject, wanted: KubeObject, field: 'rules' | 'subjects'): KubeObject | undefined {
  const before = ((current as Record<string, unknown>)[field] ?? []) as unknown[];
  const have = new Set(before.map(item => JSON.stringify(item)));
  const missing = ((wanted as Record<string, unknown>)[field] as unknown[]).filter(
    item => !have.has(JSON.stringify(item)),
  );
  return missing.length === 0 ? undefined : { ...current, [field]: [...before, ...missing] };
}
