import {
  findMatchingVolume,
  isReservedFor,
  persistentVolumeClaims,
  persistentVolumes,
  storageClassOf,
  volumeAnnotations,
  type PersistentVolumeClaim,
  type Stored,
} from '@naru/api';
import type { ControllerDeps } from '../../framework/controller';
import { withKind } from '../../framework/owner';
import type { Binding } from './binding';
import { classOf, defaultStorageClass, waitsForConsumer } from './storage-classes';

const { betaProvisioner, bindCompleted, provisioner, selectedNode } = volumeAnnotations;
const noProvisioner = 'kubernetes.io/no-provisioner';
type Claim = Stored<PersistentVolumeClaim>;

/** Finds volumes for claims, or has them made. Source: the persistent volume controller's syncClaim. */
export class ClaimBinder {
  constructor(
    private readonly deps: ControllerDeps,
    private readonly binding: Binding,
  ) {}

  async reconcile(claim: Claim): Promise<void> {
    if (claim.metadata.annotations?.[bindCompleted] !== undefined) return this.keep(claim);
    if (claim.spec?.volumeName) return this.bindToNamed(claim, claim.spec.volumeName);
    return this.bindToAny(claim);
  }

  /** A claim that was bound once. */
  private async keep(claim: Claim): Promise<void> {
    const name = claim.spec?.volumeName;
    if (!name)
      return this.lose(
        claim,
        'ClaimLost',
        'Bound claim has lost reference to PersistentVolume. Data on the volume is lost!',
      );
    const volume = this.deps.informers.lister(persistentVolumes).get({ name });
    if (!volume)
      return this.lose(claim, 'ClaimLost', 'Bound claim has lost its PersistentVolume. Data on the volume is lost!');
    const holder = volume.spec?.claimRef;
    if (!holder || holder.uid === claim.metadata.uid) return this.binding.bind(volume, claim);
    return this.lose(claim, 'ClaimMisbound', 'Two claims are bound to the same volume, this one is bound incorrectly');
  }

  private async bindToNamed(claim: Claim, name: string): Promise<void> {
    const volume = this.deps.informers.lister(persistentVolumes).get({ name });
    if (volume && (!volume.spec?.claimRef || isReservedFor(volume, claim))) {
      if ((volume.spec?.volumeMode ?? 'Filesystem') === (claim.spec?.volumeMode ?? 'Filesystem'))
        return this.binding.bind(volume, claim);
      this.tell(claim, 'VolumeMismatch', `Cannot bind to requested volume "${name}": incompatible volumeMode`);
    } else if (volume) {
      const message = `volume "${name}" already bound to a different claim.`;
      this.tell(claim, 'FailedBinding', message);
    }
    return this.binding.setClaimPhase(claim, 'Pending');
  }

  private async bindToAny(claim: Claim): Promise<void> {
    if (storageClassOf(claim) === undefined && (await this.giveDefaultClass(claim))) return;
    const { informers } = this.deps;
    const storageClass = classOf(informers, claim);
    const waits = waitsForConsumer(storageClass) && claim.metadata.annotations?.[selectedNode] === undefined;
    const volumes = informers.lister(persistentVolumes).list();
    const volume = findMatchingVolume(claim, volumes, { waitsForConsumer: waits });
    if (volume) return this.binding.bind(volume, claim);
    if (waits && storageClass?.provisioner !== undefined) {
      this.tell(claim, 'WaitForFirstConsumer', 'waiting for first consumer to be created before binding', 'Normal');
    } else if (storageClassOf(claim)) await this.provision(claim);
    else
      this.tell(
        claim,
        'FailedBinding',
        'no persistent volumes available for this claim and no storage class is set',
        'Normal',
      );
    const current = informers.lister(persistentVolumeClaims).get(claim.metadata) ?? claim;
    return this.binding.setClaimPhase(current, 'Pending');
  }

  /** A claim made before there was a default class gets it now. */
  private async giveDefaultClass(claim: Claim): Promise<boolean> {
    const { client, informers } = this.deps;
    const storageClass = defaultStorageClass(informers);
    if (!storageClass) return false;
    const spec = { ...claim.spec, storageClassName: storageClass.metadata.name };
    await client.update(persistentVolumeClaims, { ...claim, spec });
    return true;
  }

  /** Names the provisioner on the claim; it does the rest. */
  private async provision(claim: Claim): Promise<void> {
    const { client, informers } = this.deps;
    const name = storageClassOf(claim) ?? '';
    const storageClass = classOf(informers, claim);
    if (!storageClass) return this.tell(claim, 'ProvisioningFailed', `storageclass.storage.k8s.io "${name}" not found`);
    const who = storageClass.provisioner;
    if (who === noProvisioner) return;
    this.tell(
      claim,
      'ExternalProvisioning',
      `Waiting for a volume to be created either by the external provisioner '${who}' or manually by the system administrator. If volume creation is delayed, please verify that the provisioner is running and correctly registered.`,
      'Normal',
    );
    if (claim.metadata.annotations?.[provisioner] === who) return;
    const annotations = { ...claim.metadata.annotations, [provisioner]: who, [betaProvisioner]: who };
    await client.update(persistentVolumeClaims, { ...claim, metadata: { ...claim.metadata, annotations } });
  }

  private async lose(claim: Claim, reason: string, message: string): Promise<void> {
    if (claim.status?.phase === 'Lost') return;
    this.tell(claim, reason, message);
    await this.binding.setClaimPhase(claim, 'Lost');
  }

  private tell(claim: Claim, reason: string, message: string, type: 'Normal' | 'Warning' = 'Warning'): void {
    this.deps.recorder.record(withKind(persistentVolumeClaims, claim), { type, reason, message });
  }
}
