import { csi } from '@naru/proto';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass, VolumeAttachment } from '@naru/api';
import { quantityValue } from '@naru/api';
import { ApiError } from './kube-api';
import {
  attachmentsPath,
  claimsPath,
  classesPath,
  isOfNode,
  list,
  volumesPath,
  type ControllerDeps,
  type ControllerLoop,
} from './controller-loop';

const selectedNode = 'volume.kubernetes.io/selected-node';
const provisionedBy = 'pv.kubernetes.io/provisioned-by';

function capabilityOf({ spec }: PersistentVolumeClaim): csi.VolumeCapability {
  const { SINGLE_NODE_WRITER: mode } = csi.VolumeCapability_AccessMode_Mode;
  const block = spec?.volumeMode === 'Block';
  return csi.VolumeCapability.fromPartial({
    accessMode: { mode },
    accessType: block ? { $case: 'block', value: {} } : { $case: 'mount', value: {} },
  });
}

/**
 * What elsewhere external-provisioner does, for the volumes of one node: makes a volume for a claim whose pod has been given
 * to this node, and removes one that is released.
 */
export class Provisioner implements ControllerLoop {
  readonly watched = [claimsPath, volumesPath, attachmentsPath];

  constructor(private readonly deps: ControllerDeps) {}

  async reconcile(): Promise<void> {
    const { api, name, nodeName } = this.deps;
    for (const claim of await list<PersistentVolumeClaim>(api, claimsPath)) {
      if (claim.spec?.volumeName || claim.metadata?.annotations?.[selectedNode] !== nodeName) continue;
      const path = `${classesPath}/${claim.spec?.storageClassName}`;
      const storageClass = await api.request<StorageClass>('GET', path);
      if (storageClass.provisioner === name) await this.provision(claim, storageClass);
    }
    const attachments = await list<VolumeAttachment>(api, attachmentsPath);
    const attached = new Set(attachments.map(({ spec }) => spec.source.persistentVolumeName));
    for (const volume of await list<PersistentVolume>(api, volumesPath))
      if (this.isOver(volume) && !attached.has(volume.metadata?.name)) await this.remove(volume);
  }

  private async provision(claim: PersistentVolumeClaim, storageClass: StorageClass): Promise<void> {
    const { api, name, controller, log } = this.deps;
    const { name: claimName = '', namespace = '', uid = '', resourceVersion = '' } = claim.metadata ?? {};
    const wanted = claim.spec?.resources?.requests?.['storage'] ?? '0';
    const request = csi.CreateVolumeRequest.fromPartial({
      name: `pvc-${uid}`,
      volumeCapabilities: [capabilityOf(claim)],
      capacityRange: { requiredBytes: BigInt(quantityValue(wanted)) },
      parameters: storageClass.parameters ?? {},
    });
    const { volume } = await controller.call<csi.CreateVolumeResponse>('createVolume', request);
    const segments = volume?.accessibleTopology[0]?.segments ?? {};
    const matchExpressions = Object.entries(segments).map(([key, value]) => ({ key, operator: 'In', values: [value] }));
    const body = {
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: `pvc-${uid}`, annotations: { [provisionedBy]: name } },
      spec: {
        capacity: { storage: wanted },
        accessModes: claim.spec?.accessModes,
        volumeMode: claim.spec?.volumeMode,
        storageClassName: storageClass.metadata?.name,
        persistentVolumeReclaimPolicy: storageClass.reclaimPolicy,
        mountOptions: storageClass.mountOptions,
        claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name: claimName, namespace, uid, resourceVersion },
        csi: { driver: name, volumeHandle: volume?.volumeId, volumeAttributes: volume?.volumeContext },
        nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions }] } },
      },
    };
    await api.request('POST', volumesPath, body).catch((error: ApiError) => {
      if (error.code !== 409) throw error;
    });
    log(`provisioned pvc-${uid} for ${namespace}/${claimName}`);
  }

  /** Released, to be deleted, and on this node. */
  private isOver(volume: PersistentVolume): boolean {
    const { name, nodeName } = this.deps;
    const { metadata, spec, status } = volume;
    if (metadata?.annotations?.[provisionedBy] !== name || status?.phase !== 'Released') return false;
    return spec?.persistentVolumeReclaimPolicy === 'Delete' && isOfNode(volume, name, nodeName);
  }

  private async remove({ metadata, spec }: PersistentVolume): Promise<void> {
    const { api, controller, log } = this.deps;
    await controller.call('deleteVolume', { volumeId: spec?.csi?.volumeHandle ?? '', secrets: {} });
    await api.request('DELETE', `${volumesPath}/${metadata?.name}`).catch((error: ApiError) => {
      if (error.code !== 404) throw error;
    });
    log(`removed ${metadata?.name}`);
  }
}
