import {
  apiVersionOf,
  persistentVolumeClaims,
  persistentVolumes,
  volumeAnnotations,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Stored,
} from '@naru/api';
import { equalJson } from '../../framework/canonical';
import type { ControllerDeps } from '../../framework/controller';

const { bindCompleted, boundByController } = volumeAnnotations;
type Volume = Stored<PersistentVolume>;
type Claim = Stored<PersistentVolumeClaim>;

/**
 * Binds a volume and a claim in four writes, each of which is left out when it was done before: the volume names the claim,
 * the volume is Bound, the claim names the volume, the claim is Bound. Whoever stops in between goes on from there.
 */
export class Binding {
  constructor(private readonly deps: Pick<ControllerDeps, 'client'>) {}

  async bind(volume: Volume, claim: Claim): Promise<void> {
    const reserved = await this.reserve(volume, claim);
    await this.setVolumePhase(reserved, 'Bound');
    const named = await this.nameVolume(claim, reserved);
    const { accessModes, capacity } = reserved.spec ?? {};
    const status = {
      ...named.status,
      phase: 'Bound',
      ...(accessModes ? { accessModes } : {}),
      // Afterwards it is the size that was really given, which grows step by step.
      capacity: named.status?.phase === 'Bound' ? (named.status.capacity ?? capacity) : capacity,
    } as NonNullable<PersistentVolumeClaim['status']>;
    await this.writeClaimStatus(named, status);
  }

  /** Of a volume that is in this phase already the message stays, whosever it is. Source: the controller's updateVolumePhase. */
  async setVolumePhase(volume: Volume, phase: string, message?: string): Promise<void> {
    if (volume.status?.phase === phase) return;
    const { message: _message, ...rest } = volume.status ?? {};
    const status = { ...rest, phase, ...(message ? { message } : {}) };
    await this.deps.client.update(persistentVolumes, { ...volume, status }, { subresource: 'status' });
  }

  async setClaimPhase(claim: Claim, phase: 'Pending' | 'Lost'): Promise<void> {
    if (claim.status?.phase === phase) return;
    const { accessModes: _modes, capacity: _capacity, ...rest } = claim.status ?? {};
    await this.writeClaimStatus(claim, { ...rest, phase });
  }

  /** The volume is free again. What a user had reserved stays reserved for that name. */
  async unbind(volume: Volume): Promise<void> {
    const { claimRef, ...spec } = volume.spec ?? {};
    const annotations = { ...volume.metadata.annotations };
    const chosenByUs = annotations[boundByController] !== undefined;
    delete annotations[boundByController];
    const kept = chosenByUs ? {} : { claimRef: { ...claimRef, uid: undefined, resourceVersion: undefined } };
    const next = { ...volume, metadata: { ...volume.metadata, annotations }, spec: { ...spec, ...kept } };
    const freed = await this.deps.client.update(persistentVolumes, next as Volume);
    await this.setVolumePhase(freed, 'Available');
  }

  private async reserve(volume: Volume, claim: Claim): Promise<Volume> {
    const { namespace, name, uid, resourceVersion } = claim.metadata;
    if (volume.spec?.claimRef?.uid === uid) return volume;
    const type = persistentVolumeClaims;
    const claimRef = { apiVersion: apiVersionOf(type), kind: type.kind, namespace, name, uid, resourceVersion };
    const annotations = {
      ...volume.metadata.annotations,
      ...(volume.spec?.claimRef ? {} : { [boundByController]: 'yes' }),
    };
    const metadata = { ...volume.metadata, annotations };
    return this.deps.client.update(persistentVolumes, { ...volume, metadata, spec: { ...volume.spec, claimRef } });
  }

  private async nameVolume(claim: Claim, volume: Volume): Promise<Claim> {
    const annotations = {
      ...claim.metadata.annotations,
      ...(claim.spec?.volumeName ? {} : { [boundByController]: 'yes' }),
      [bindCompleted]: 'yes',
    };
    const spec = { ...claim.spec, volumeName: volume.metadata.name };
    if (equalJson(annotations, claim.metadata.annotations) && equalJson(spec, claim.spec)) return claim;
    return this.deps.client.update(persistentVolumeClaims, {
      ...claim,
      metadata: { ...claim.metadata, annotations },
      spec,
    });
  }

  private async writeClaimStatus(claim: Claim, status: NonNullable<PersistentVolumeClaim['status']>): Promise<void> {
    if (equalJson(status, claim.status)) return;
    await this.deps.client.update(persistentVolumeClaims, { ...claim, status }, { subresource: 'status' });
  }
}
