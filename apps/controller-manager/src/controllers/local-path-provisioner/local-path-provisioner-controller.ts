import {
  defaultClassAnnotation,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  quantityValue,
  storageClasses,
  volumeAnnotations,
  type PersistentVolume,
  type PersistentVolumeClaim,
  type Stored,
} from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { withKind } from '../../framework/owner';
import { claimKey, parseBinderKey, volumeKey } from '../persistent-volume-binder/keys';
import { classOf } from '../persistent-volume-binder/storage-classes';
import {
  localProvisioner,
  localVolume,
  nodeOf,
  removalAnnotation,
  removalsOf,
  unsupported,
  volumeNameFor,
} from './local-volume';

const classKey = 'class';
const className = 'local-path';

type Claim = Stored<PersistentVolumeClaim>;
type Volume = Stored<PersistentVolume>;

class LocalPathProvisioner {
  constructor(private readonly deps: ControllerDeps) {
    deps.enqueue(classKey);
  }

  async reconcile(key: string): Promise<void> {
    if (!this.deps.config.localPath) return;
    if (key === classKey) return this.ensureClass();
    const { informers } = this.deps;
    const subject = parseBinderKey(key);
    if ('volume' in subject) return this.reclaim(subject.volume);
    const claim = informers.lister(persistentVolumeClaims).get(parseKey(subject.claim));
    if (claim && !claim.metadata.deletionTimestamp) await this.serve(claim);
  }

  /** The default class, made once; whoever changes it keeps the change. */
  private async ensureClass(): Promise<void> {
    const { client, informers } = this.deps;
    if (informers.lister(storageClasses).get({ name: className })) return;
    try {
      await client.create(storageClasses, {
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata: { name: className, annotations: { [defaultClassAnnotation]: 'true' } },
        provisioner: localProvisioner,
        reclaimPolicy: 'Delete',
        volumeBindingMode: 'WaitForFirstConsumer',
        allowVolumeExpansion: true,
      });
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
  }

  private async serve(claim: Claim): Promise<void> {
    if (claim.spec?.volumeName) return this.expand(claim);
    const { annotations } = claim.metadata;
    if (annotations?.[volumeAnnotations.provisioner] !== localProvisioner) return;
    const { client, config, informers } = this.deps;
    const storageClass = classOf(informers, claim);
    if (!storageClass || informers.lister(persistentVolumes).get({ name: volumeNameFor(claim) })) return;
    const nodeName = annotations[volumeAnnotations.selectedNode];
    const problem = unsupported(claim) ?? (nodeName ? undefined : 'configuration error, no node was specified');
    if (problem || !nodeName) return this.fail(claim, problem ?? '');
    const node = informers.lister(nodes).get({ name: nodeName });
    if (!node) return this.reschedule(claim);
    const draft = localVolume(claim, storageClass, node, config.localPath);
    try {
      await client.create(persistentVolumes, draft);
    } catch (error) {
      if (isReason(error, 'AlreadyExists')) return;
      throw error;
    }
    this.tell(
      claim,
      'Normal',
      'ProvisioningSucceeded',
      `Successfully provisioned volume ${draft.metadata?.name ?? ''}`,
    );
  }

  /** The scheduler chose a node that is gone: it shall choose again. */
  private async reschedule(claim: Claim): Promise<void> {
    const { [volumeAnnotations.selectedNode]: _gone, ...annotations } = claim.metadata.annotations ?? {};
    await this.deps.client.update(persistentVolumeClaims, { ...claim, metadata: { ...claim.metadata, annotations } });
  }

  /** A directory has no size of its own: to grow is to say so. */
  private async expand(claim: Claim): Promise<void> {
    const { client, informers } = this.deps;
    const volume = informers.lister(persistentVolumes).get({ name: claim.spec?.volumeName ?? '' });
    const wanted = claim.spec?.resources?.requests?.['storage'] ?? '0';
    const ours = volume?.metadata.annotations?.[volumeAnnotations.provisionedBy] === localProvisioner;
    if (!volume || !ours || claim.status?.phase !== 'Bound') return;
    if (volume.spec?.claimRef?.uid !== claim.metadata.uid) return;
    const bytes = quantityValue(wanted);
    if (bytes > quantityValue(volume.spec?.capacity?.['storage'] ?? '0')) {
      const capacity = { ...volume.spec?.capacity, storage: wanted };
      await client.update(persistentVolumes, { ...volume, spec: { ...volume.spec, capacity } });
    }
    if (bytes <= quantityValue(claim.status.capacity?.['storage'] ?? '0')) return;
    const status = { ...claim.status, capacity: { ...claim.status.capacity, storage: wanted } };
    await client.update(persistentVolumeClaims, { ...claim, status }, { subresource: 'status' });
    this.tell(claim, 'Normal', 'VolumeResizeSuccessful', 'Resize volume succeeded');
  }

  /** Has the directory of a released volume removed, and the volume when it is. */
  private async reclaim(name: string): Promise<void> {
    const { client, informers } = this.deps;
    const volume = informers.lister(persistentVolumes).get({ name });
    const wanted = volume && isReclaimable(volume);
    const nodeName = volume ? nodeOf(volume) : undefined;
    const holders = informers
      .lister(nodes)
      .list()
      .filter(node => removalsOf(node).includes(name));
    for (const { metadata } of holders)
      if (!wanted || metadata.name !== nodeName) await this.annotate(metadata.name, name, null);
    if (!wanted) return;
    const node = informers.lister(nodes).get({ name: nodeName ?? '' });
    const answer = node?.metadata.annotations?.[removalAnnotation(name)];
    if (node && answer === undefined) return this.annotate(node.metadata.name, name, volume.spec?.hostPath?.path ?? '');
    if (node && answer !== '') return;
    // Removed, or gone with its node.
    try {
      await client.delete(persistentVolumes, { name }, { preconditions: { uid: volume.metadata.uid } });
    } catch (error) {
      if (!isReason(error, 'NotFound', 'Conflict')) throw error;
    }
  }

  private async annotate(nodeName: string, volumeName: string, value: string | null): Promise<void> {
    const body = { metadata: { annotations: { [removalAnnotation(volumeName)]: value } } };
    try {
      await this.deps.client.patch(nodes, { name: nodeName }, { type: 'merge', body });
    } catch (error) {
      // A request is tried again until our copy shows as well that the node is gone.
      if (value !== null || !isReason(error, 'NotFound')) throw error;
    }
  }

  private fail(claim: Claim, why: string): void {
    const message = `failed to provision volume with StorageClass "${claim.spec?.storageClassName ?? ''}": ${why}`;
    this.tell(claim, 'Warning', 'ProvisioningFailed', message);
  }

  private tell(claim: Claim, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.deps.recorder.record(withKind(persistentVolumeClaims, claim), { type, reason, message });
  }
}

function isReclaimable({ metadata, spec, status }: Volume): boolean {
  return (
    metadata.annotations?.[volumeAnnotations.provisionedBy] === localProvisioner &&
    status?.phase === 'Released' &&
    spec?.persistentVolumeReclaimPolicy === 'Delete' &&
    !metadata.deletionTimestamp
  );
}

/** Makes directories of nodes into volumes: the default class of a cluster without other storage. */
export const localPathProvisionerController: Controller = {
  name: 'local-path-provisioner-controller',
  eventSource: 'naru.dev/local-path',
  watches: () => [
    watch(persistentVolumeClaims, claim => [claimKey(objectKey(claim))]),
    watch(persistentVolumes, ({ metadata, spec }) => {
      const { namespace, name } = spec?.claimRef ?? {};
      return [volumeKey(metadata.name), ...(name ? [claimKey(`${namespace ?? ''}/${name}`)] : [])];
    }),
    watch(nodes, node => removalsOf(node).map(volumeKey), {
      relevant: (node, old) => removalsOf(node).length > 0 || removalsOf(old).length > 0,
    }),
    watch(storageClasses, () => [classKey], { relevant: () => false }),
  ],
  build(deps) {
    const provisioner = new LocalPathProvisioner(deps);
    return { reconcile: key => provisioner.reconcile(key) };
  },
};
