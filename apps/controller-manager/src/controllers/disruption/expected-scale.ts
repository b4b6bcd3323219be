import {
  deployments,
  replicaSets,
  replicationControllers,
  statefulSets,
  type KubeObject,
  type Pod,
  type ResourceType,
  type Stored,
} from '@naru/api';
import type { ClusterInformers } from '../../framework/informers';
import { controllerOf } from '../../framework/owner';

type Scalable = KubeObject & { spec?: { replicas?: number | undefined } | undefined };

/** How many pods the controllers of the given pods want together. Throws when one of them has no scale. */
export function expectedScale(informers: ClusterInformers, selected: readonly Stored<Pod>[]): number {
  const scales = new Map<string, number>();
  for (const pod of selected) {
    const reference = controllerOf(pod);
    // Nobody would replace it: it is not counted, and may be evicted only as far as the others allow.
    if (!reference || scales.has(reference.uid)) continue;
    const found = findScale(informers, pod.metadata.namespace, reference);
    if (found) scales.set(found.uid, found.replicas);
    scales.set(reference.uid, scales.get(reference.uid) ?? 0);
  }
  return [...scales.values()].reduce((sum, replicas) => sum + replicas, 0);
}

function findScale(
  informers: ClusterInformers,
  namespace: string | undefined,
  { kind, name, uid }: { kind: string; name: string; uid: string },
): { uid: string; replicas: number } | undefined {
  const type = scalable.find(candidate => candidate.kind === kind);
  if (!type) throw new Error(`${kind} ${name} does not implement the scale subresource`);
  const owner = informers.lister(type).get({ namespace, name });
  if (owner?.metadata.uid !== uid) return undefined;
  const above = kind === 'ReplicaSet' ? controllerOf(owner) : undefined;
  // The sets of one Deployment share its number during a roll-out.
  if (above?.kind === 'Deployment') return findScale(informers, namespace, above);
  return { uid, replicas: owner.spec?.replicas ?? 1 };
}

const scalable: readonly ResourceType<Scalable>[] = [
  replicaSets as ResourceType<Scalable>,
  deployments as ResourceType<Scalable>,
  statefulSets as ResourceType<Scalable>,
  replicationControllers as ResourceType<Scalable>,
];
