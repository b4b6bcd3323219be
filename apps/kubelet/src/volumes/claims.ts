import {
  compileNodeSelectorTerm,
  persistentVolumeClaims,
  persistentVolumes,
  type Node,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Pod,
  type Stored,
  type Volume,
} from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import type { ClaimedVolume, VolumeSource } from './plugin';

export interface ClaimsDeps {
  client: ObjectsClient;
  /** This node, when it is registered. */
  node: () => Node | undefined;
}

/** A pod has started once: what it claimed then is its own until it ends. */
function hasStarted(pod: Pod): boolean {
  return pod.status?.phase === 'Running';
}

/** Finds the persistent volume behind a claim. Source: the kubelet's desired_state_of_world_populator. */
export class Claims {
  constructor(private readonly deps: ClaimsDeps) {}

  /** The volume itself, unless it is a claim. Throws, in upstream's words, when the claim leads to nothing yet. */
  async resolve(pod: Pod, volume: Volume): Promise<VolumeSource> {
    const name = claimName(pod, volume);
    if (name === undefined) return { volume };
    const namespace = pod.metadata?.namespace ?? '';
    try {
      const claim = await this.claim(pod, volume, namespace, name);
      const persistentVolume = await this.persistentVolume(claim);
      const readOnly = volume.persistentVolumeClaim?.readOnly ?? false;
      const { spec } = persistentVolume;
      return {
        volume: {
          name: persistentVolume.metadata?.name ?? '',
          ...(spec?.hostPath ? { hostPath: spec.hostPath } : {}),
          ...(spec?.nfs ? { nfs: spec.nfs } : {}),
        },
        claimed: { claim, persistentVolume, readOnly },
      };
    } catch (cause) {
      const message = `error processing PVC ${namespace}/${name}: ${(cause as Error).message}`;
      throw new Error(message, { cause });
    }
  }

  private async claim(
    pod: Pod,
    volume: Volume,
    namespace: string,
    name: string,
  ): Promise<Stored<PersistentVolumeClaim>> {
    const claim = await this.deps.client.get(persistentVolumeClaims, { namespace, name }).catch((cause: unknown) => {
      throw new Error(`failed to fetch PVC from API server: ${(cause as Error).message}`, { cause });
    });
    if (claim.metadata.deletionTimestamp && !hasStarted(pod)) throw new Error('PVC is being deleted');
    if (volume.ephemeral && !claim.metadata.ownerReferences?.some(({ uid }) => uid === pod.metadata?.uid)) {
      const { name: podName = '' } = pod.metadata ?? {};
      throw new Error(`PVC ${namespace}/${name} was not created for pod ${namespace}/${podName} (pod is not owner)`);
    }
    if (claim.status?.phase !== 'Bound') throw new Error('PVC is not bound');
    if (!claim.spec?.volumeName) throw new Error('PVC has empty pvc.Spec.VolumeName');
    return claim;
  }

  private async persistentVolume(claim: PersistentVolumeClaim): Promise<PersistentVolume> {
    const name = claim.spec?.volumeName ?? '';
    const found = await this.deps.client.get(persistentVolumes, { name }).catch((cause: unknown) => {
      throw new Error(`failed to fetch PV ${name} from API server: ${(cause as Error).message}`, { cause });
    });
    const uid = found.spec?.claimRef?.uid;
    if (found.spec?.claimRef === undefined) {
      throw new Error(
        `found PV object ${name} but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim`,
      );
    }
    if (uid !== claim.metadata?.uid) {
      const wanted = claim.metadata?.uid ?? '';
      throw new Error(
        `found PV object ${name} but its pv.Spec.ClaimRef.UID ${uid ?? ''} does not point to claim.UID ${wanted}`,
      );
    }
    return found;
  }

  /** A volume that other nodes hold cannot be mounted here. Source: volume/util CheckNodeAffinity. */
  checkAffinity({ claimed }: { claimed?: Pick<ClaimedVolume, 'persistentVolume'> }): void {
    const terms = claimed?.persistentVolume.spec?.nodeAffinity?.required?.nodeSelectorTerms;
    const node = this.deps.node();
    if (!terms || !node) return;
    if (!terms.some(term => compileNodeSelectorTerm(term)(node))) throw new Error('no matching NodeSelectorTerms');
  }
}

/** The claim that a volume of a pod stands for; a generic ephemeral volume has one named after both. */
export function claimName(pod: Pod, volume: Volume): string | undefined {
  if (volume.ephemeral) return `${pod.metadata?.name ?? ''}-${volume.name}`;
  return volume.persistentVolumeClaim?.claimName;
}
