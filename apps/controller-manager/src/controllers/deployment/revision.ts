import { safeEncode, type Deployment, type PodTemplateSpec, type ReplicaSet, type Stored } from '@naru/api';
import { canonicalJson, fnv32 } from '../../framework/canonical';
import { maxReplicasOf } from './rolling-update';

export const revisionAnnotation = 'deployment.kubernetes.io/revision';
export const historyAnnotation = 'deployment.kubernetes.io/revision-history';
export const desiredAnnotation = 'deployment.kubernetes.io/desired-replicas';
export const maxAnnotation = 'deployment.kubernetes.io/max-replicas';
export const hashLabel = 'pod-template-hash';

/** Annotations of a Deployment that its ReplicaSets do not inherit. */
const notInherited = new Set([
  'kubectl.kubernetes.io/last-applied-configuration',
  revisionAnnotation,
  historyAnnotation,
  desiredAnnotation,
  maxAnnotation,
  'deprecated.deployment.rollback.to',
]);

/** An int64, which may be more than a number holds exactly; 0 where there is none. */
export function revisionOf(set: ReplicaSet): bigint {
  return parseRevision(set.metadata?.annotations?.[revisionAnnotation]);
}

function parseRevision(text: string | undefined): bigint {
  const value = /^[+-]?\d{1,19}$/.test(text ?? '') ? BigInt(text!.replace('+', '')) : 0n;
  return value === BigInt.asIntN(64, value) ? value : 0n;
}

/** Oldest revision first. */
export function byRevision(a: ReplicaSet, b: ReplicaSet): number {
  const [left, right] = [revisionOf(a), revisionOf(b)];
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** The revision of a set that comes after these. */
export function nextRevision(oldSets: readonly ReplicaSet[]): bigint {
  return oldSets.map(revisionOf).reduce((latest, revision) => (revision > latest ? revision : latest), 0n) + 1n;
}

/** The value of pod-template-hash: stable for equal templates; `collisionCount` gives another one. */
export function templateHash(template: PodTemplateSpec | undefined, collisionCount: number | undefined): string {
  return safeEncode(fnv32(canonicalJson(template) + (collisionCount ? String(collisionCount) : '')));
}

function withoutHash(template: PodTemplateSpec | undefined): string {
  const labels = { ...template?.metadata?.labels };
  delete labels[hashLabel];
  return canonicalJson({ ...template, metadata: { ...template?.metadata, labels } });
}

/** The oldest set with the Deployment's present template. */
export function findNewSet(
  deployment: Deployment,
  sets: readonly Stored<ReplicaSet>[],
): Stored<ReplicaSet> | undefined {
  const wanted = withoutHash(deployment.spec?.template);
  return [...sets].sort(byAge).find(set => withoutHash(set.spec?.template) === wanted);
}

/** Oldest first. */
export function byAge(a: Stored<ReplicaSet>, b: Stored<ReplicaSet>): number {
  const left = a.metadata.creationTimestamp ?? '';
  const right = b.metadata.creationTimestamp ?? '';
  if (left !== right) return left < right ? -1 : 1;
  return a.metadata.name < b.metadata.name ? -1 : 1;
}

/** The annotations a Deployment's newest set should have; the same object when it has them. */
export function newSetAnnotations(
  deployment: Deployment,
  present: Record<string, string> | undefined,
  newRevision: bigint,
): Record<string, string> {
  const wanted: Record<string, string> = { ...present };
  for (const [key, value] of Object.entries(deployment.metadata?.annotations ?? {}))
    if (!notInherited.has(key) && value !== undefined) wanted[key] = value;
  const old = present?.[revisionAnnotation];
  if (parseRevision(old) < newRevision) {
    wanted[revisionAnnotation] = String(newRevision);
    // The set had been an older revision before: a rollback. Its numbers are kept.
    if (old) wanted[historyAnnotation] = [present[historyAnnotation], old].filter(Boolean).join(',');
  }
  if (!present) Object.assign(wanted, replicasAnnotations(deployment));
  return wanted;
}

export function replicasAnnotations(deployment: Deployment): Record<string, string> {
  return {
    [desiredAnnotation]: String(deployment.spec?.replicas ?? 1),
    [maxAnnotation]: String(maxReplicasOf(deployment)),
  };
}

/** Old sets beyond revisionHistoryLimit that have no pods any more, the oldest revisions first. */
export function setsToPrune(deployment: Deployment, oldSets: readonly Stored<ReplicaSet>[]): Stored<ReplicaSet>[] {
  const limit = deployment.spec?.revisionHistoryLimit ?? 10;
  const kept = oldSets.filter(set => !set.metadata.deletionTimestamp);
  const surplus = kept.length - limit;
  if (surplus <= 0) return [];
  return [...kept]
    .sort((a, b) => byRevision(a, b) || byAge(a, b))
    .slice(0, surplus)
    .filter(
      set =>
        !set.status?.replicas &&
        set.spec?.replicas === 0 &&
        (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0),
    );
}
