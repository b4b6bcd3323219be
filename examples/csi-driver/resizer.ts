import { quantityValue, type PersistentVolume, type PersistentVolumeClaim } from '@naru/api';
import { csi } from '@naru/proto';
import { claimsPath, isOfNode, list, volumesPath, type ControllerDeps, type ControllerLoop } from './controller-loop';

type Status = NonNullable<PersistentVolumeClaim['status']>;

/**
 * What elsewhere external-resizer does, for the volumes of one node: grows the volume of a claim that asks for more, and leaves
 * the rest to the kubelet.
 */
export class Resizer implements ControllerLoop {
  readonly watched = [claimsPath, volumesPath];

  constructor(private readonly deps: ControllerDeps) {}

  async reconcile(): Promise<void> {
    const { api, log } = this.deps;
    const volumes = await list<PersistentVolume>(api, volumesPath);
    const byName = new Map(volumes.map(volume => [volume.metadata?.name, volume]));
    for (const claim of await list<PersistentVolumeClaim>(api, claimsPath)) {
      const volume = byName.get(claim.spec?.volumeName);
      if (!volume || claim.status?.phase !== 'Bound' || !this.isDue(claim, volume)) continue;
      await this.grow(claim, volume).catch((error: Error) =>
        log(`did not grow ${volume.metadata?.name}: ${error.message}`),
      );
    }
  }

  private isDue({ metadata, spec, status }: PersistentVolumeClaim, volume: PersistentVolume): boolean {
    const { name, nodeName } = this.deps;
    if (metadata?.deletionTimestamp || volume.spec?.csi?.driver !== name || !isOfNode(volume, name, nodeName))
      return false;
    const wanted = quantityValue(spec?.resources?.requests?.['storage'] ?? '0');
    if (wanted <= quantityValue(status?.capacity?.['storage'] ?? '0')) return false;
    // What has been asked of the kubelet is its business, until somebody asks for another size.
    const asked = quantityValue(status?.allocatedResources?.['storage'] ?? '0');
    return !status?.allocatedResourceStatuses?.['storage']?.startsWith('NodeResize') || asked !== wanted;
  }

  private async grow(claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<void> {
    const { api, controller, log } = this.deps;
    const wanted = claim.spec?.resources?.requests?.['storage'] ?? '0';
    const name = volume.metadata?.name ?? '';
    const time = new Date().toISOString().replace(/\.\d+Z/, 'Z');
    await this.patch(claim, {
      allocatedResources: { storage: wanted },
      allocatedResourceStatuses: { storage: 'ControllerResizeInProgress' },
      conditions: [{ type: 'Resizing', status: 'True', lastTransitionTime: time }],
    });
    await this.tell(claim, 'Resizing', `External resizer is resizing volume ${name}`);
    const capacityRange = { requiredBytes: BigInt(quantityValue(wanted)), limitBytes: 0n };
    const request = { volumeId: volume.spec?.csi?.volumeHandle ?? '', capacityRange };
    const { nodeExpansionRequired } = await controller.call<csi.ControllerExpandVolumeResponse>(
      'controllerExpandVolume',
      csi.ControllerExpandVolumeRequest.fromPartial(request),
    );
    await api.request('PATCH', `${volumesPath}/${name}`, { spec: { capacity: { storage: wanted } } });
    if (nodeExpansionRequired) {
      const message = 'Waiting for user to (re-)start a pod to finish file system resize of volume on node.';
      await this.patch(claim, {
        allocatedResourceStatuses: { storage: 'NodeResizePending' },
        conditions: [{ type: 'FileSystemResizePending', status: 'True', lastTransitionTime: time, message }],
      });
      await this.tell(claim, 'FileSystemResizeRequired', 'Require file system resize of volume on node');
    } else {
      await this.patch(claim, { capacity: { storage: wanted }, conditions: [], allocatedResourceStatuses: null });
      await this.tell(claim, 'VolumeResizeSuccessful', 'Resize volume succeeded');
    }
    log(`grew ${name} to ${wanted}`);
  }

  private async patch(
    { metadata }: PersistentVolumeClaim,
    status: Omit<Partial<Status>, 'allocatedResourceStatuses'> & {
      allocatedResourceStatuses: Record<string, string> | null;
    },
  ): Promise<void> {
    const path = `/api/v1/namespaces/${metadata?.namespace}/persistentvolumeclaims/${metadata?.name}/status`;
    await this.deps.api.request('PATCH', path, { status });
  }

  private async tell({ metadata }: PersistentVolumeClaim, reason: string, message: string): Promise<void> {
    const { name = '', namespace = '', uid = '' } = metadata ?? {};
    const now = new Date().toISOString().replace(/\.\d+Z/, 'Z');
    await this.deps.api.request('POST', `/api/v1/namespaces/${namespace}/events`, {
      metadata: { generateName: `${name}-`, namespace },
      involvedObject: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid },
      ...{ type: 'Normal', reason, message, count: 1, firstTimestamp: now, lastTimestamp: now },
      source: { component: `external-resizer ${this.deps.name}` },
    });
  }
}
