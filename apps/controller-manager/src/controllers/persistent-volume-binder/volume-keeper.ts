import {
  persistentVolumeClaims,
  persistentVolumes,
  volumeAnnotations,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Stored,
} from '@naru/api';
import { objectKey } from '@naru/client';
import { isReason } from '@naru/foundation';
import type { ControllerDeps } from '../../framework/controller';
import { withKind } from '../../framework/owner';
import type { Binding } from './binding';
import { claimKey } from './keys';

type Volume = Stored<PersistentVolume>;

/** Keeps the phases of volumes, and deals with those whose claim is gone. Source: the controller's syncVolume. */
export class VolumeKeeper {
  constructor(
    private readonly deps: ControllerDeps,
    private readonly binding: Binding,
  ) {}

  async reconcile(volume: Volume): Promise<void> {
    const reference = volume.spec?.claimRef;
    // Free, or reserved for a claim that does not know of it yet.
    if (!reference?.uid) return this.binding.setVolumePhase(volume, 'Available');
    const claim = await this.claimOf(volume);
    if (!claim) return this.release(volume);
    const { volumeName } = claim.spec ?? {};
    if (!volumeName) return this.deps.enqueue(claimKey(objectKey(claim)));
    if (volumeName === volume.metadata.name) return this.binding.setVolumePhase(volume, 'Bound');
    // The claim took another volume. One that was made for it is of no use any more.
    const made = volume.metadata.annotations?.[volumeAnnotations.provisionedBy] !== undefined;
    if (made && volume.spec?.persistentVolumeReclaimPolicy === 'Delete') return this.release(volume);
    return this.binding.unbind(volume);
  }

  /** Asks the api-server itself before a volume is given up. */
  private async claimOf(volume: Volume): Promise<Stored<PersistentVolumeClaim> | undefined> {
    const { namespace, name = '', uid } = volume.spec?.claimRef ?? {};
    const known = this.deps.informers.lister(persistentVolumeClaims).get({ namespace, name });
    if (known?.metadata.uid === uid) return known;
    if (volume.status?.phase === 'Released' || volume.status?.phase === 'Failed') return undefined;
    try {
      const claim = await this.deps.client.get(persistentVolumeClaims, { namespace, name });
      return claim.metadata.uid === uid ? claim : undefined;
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined;
      throw error;
    }
  }

  private async release(volume: Volume): Promise<void> {
    const policy = volume.spec?.persistentVolumeReclaimPolicy ?? 'Retain';
    // What has a provisioner is deleted by it, once it is Released.
    const byProvisioner = volume.metadata.annotations?.[volumeAnnotations.provisionedBy] !== undefined;
    if (policy === 'Retain' || (policy === 'Delete' && byProvisioner)) {
      if (volume.status?.phase !== 'Failed') await this.binding.setVolumePhase(volume, 'Released');
      return;
    }
    const { name } = volume.metadata;
    const [reason, message] =
      policy === 'Delete'
        ? [
            'VolumeFailedDelete',
            `error getting deleter volume plugin for volume "${name}": no deletable volume plugin matched`,
          ]
        : ['VolumeFailedRecycle', 'No recycler plugin found for the volume!'];
    if (volume.status?.phase !== 'Failed') {
      const about = withKind(persistentVolumes, volume);
      this.deps.recorder.record(about, { type: 'Warning', reason, message });
    }
    await this.binding.setVolumePhase(volume, 'Failed', message);
  }
}
