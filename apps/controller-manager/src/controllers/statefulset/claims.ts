import {
  persistentVolumeClaims,
  pods,
  statefulSets,
  type OwnerReference,
  type PersistentVolumeClaim,
  type Pod,
  type StatefulSet,
  type Stored,
} from '@naru/api';
import { isReason } from '@naru/foundation';
import { equalJson } from '../../framework/canonical';
import type { ControllerDeps } from '../../framework/controller';
import { withKind } from '../../framework/owner';
import { claimName, ordinalOf } from './identity';

type Reference = Pick<OwnerReference, 'apiVersion' | 'kind' | 'name' | 'uid'>;

/**
 * The owners that a claim should have by the retention policy: the set, so that it goes with the set; a pod that is
 * scaled away, so that it goes with that pod; or nobody. Other owners are left alone.
 */
export function wantedOwners(
  set: Stored<StatefulSet>,
  pod: Stored<Pod>,
  condemned: boolean,
  present: readonly OwnerReference[],
): OwnerReference[] {
  const { whenDeleted, whenScaled } = set.spec?.persistentVolumeClaimRetentionPolicy ?? {};
  const others = present.filter(({ kind, uid, name }) => {
    if (uid === set.metadata.uid) return false;
    return !(kind === 'Pod' && name === pod.metadata.name);
  });
  const reference = (
    type: { apiVersion: string; kind: string },
    { metadata }: Stored<Pod | StatefulSet>,
  ): Reference => ({
    ...type,
    name: metadata.name,
    uid: metadata.uid,
  });
  const wanted: Reference[] = [];
  if (whenScaled === 'Delete' && condemned) wanted.push(reference({ apiVersion: 'v1', kind: 'Pod' }, pod));
  else if (whenDeleted === 'Delete') wanted.push(reference({ apiVersion: 'apps/v1', kind: 'StatefulSet' }, set));
  return [...others, ...wanted];
}

/** The volume claims of the pods of StatefulSets. Binding them to volumes is another's business. */
export class SetClaims {
  constructor(private readonly deps: Pick<ControllerDeps, 'client' | 'informers' | 'recorder'>) {}

  /** Creates the claims that a pod with the ordinal needs and that do not exist. */
  async ensure(set: Stored<StatefulSet>, ordinal: number): Promise<void> {
    const { client, informers, recorder } = this.deps;
    const { namespace } = set.metadata;
    for (const template of set.spec?.volumeClaimTemplates ?? []) {
      const name = claimName(set, template.metadata?.name ?? '', ordinal);
      if (informers.lister(persistentVolumeClaims).get({ namespace, name })) continue;
      const draft: PersistentVolumeClaim = {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: {
          namespace,
          name,
          labels: { ...template.metadata?.labels, ...set.spec?.selector.matchLabels },
          annotations: { ...template.metadata?.annotations },
        },
        ...(template.spec ? { spec: template.spec } : {}),
      };
      try {
        await client.create(persistentVolumeClaims, draft);
        const message = `create Claim ${name} Pod ${set.metadata.name}-${ordinal} in StatefulSet ${set.metadata.name} success`;
        recorder.record(withKind(statefulSets, set), { type: 'Normal', reason: 'SuccessfulCreate', message });
      } catch (error) {
        if (!isReason(error, 'AlreadyExists')) throw error;
      }
    }
  }

  /** Brings the owners of a pod's claims in line with the retention policy. */
  async retain(set: Stored<StatefulSet>, pod: Stored<Pod>, condemned: boolean): Promise<void> {
    const ordinal = ordinalOf(set, pod);
    const templates = set.spec?.volumeClaimTemplates ?? [];
    if (ordinal === undefined) return;
    const { namespace } = set.metadata;
    for (const template of templates) {
      const name = claimName(set, template.metadata?.name ?? '', ordinal);
      const claim = this.deps.informers.lister(persistentVolumeClaims).get({ namespace, name });
      if (!claim || claim.metadata.deletionTimestamp) continue;
      const present = claim.metadata.ownerReferences ?? [];
      const ownerReferences = wantedOwners(set, withKind(pods, pod), condemned, present);
      if (equalJson(present, ownerReferences)) continue;
      await this.deps.client.update(persistentVolumeClaims, {
        ...claim,
        metadata: { ...claim.metadata, ownerReferences },
      });
    }
  }
}
