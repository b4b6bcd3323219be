import type { PersistentVolume, VolumeAttachment } from '@naru/api';
import { csi } from '@naru/proto';
import { ApiError } from './kube-api';
import { attachmentsPath, list, type ControllerDeps, type ControllerLoop } from './controller-loop';

type Patch = { metadata: object } | { status: object };

/**
 * What elsewhere external-attacher does, for one node: attaches what a VolumeAttachment of this driver asks for, and holds the
 * VolumeAttachment by a finalizer until its volume is detached again.
 */
export class Attacher implements ControllerLoop {
  readonly watched = [attachmentsPath];
  private readonly finalizer: string;

  constructor(private readonly deps: ControllerDeps) {
    this.finalizer = `external-attacher/${deps.name.replaceAll('.', '-')}`;
  }

  async reconcile(): Promise<void> {
    const { api, name, nodeName } = this.deps;
    for (const attachment of await list<VolumeAttachment>(api, attachmentsPath)) {
      const { spec, status, metadata } = attachment;
      if (spec.attacher !== name || spec.nodeName !== nodeName) continue;
      if (metadata?.deletionTimestamp) await this.detach(attachment);
      else if (!status?.attached) await this.attach(attachment);
    }
  }

  private async attach(attachment: VolumeAttachment): Promise<void> {
    const { nodeName, controller, log } = this.deps;
    await this.hold(attachment, true);
    const volumeId = await this.volumeIdOf(attachment);
    const request = csi.ControllerPublishVolumeRequest.fromPartial({ volumeId, nodeId: nodeName });
    try {
      const { publishContext } = await controller.call<csi.ControllerPublishVolumeResponse>(
        'controllerPublishVolume',
        request,
      );
      await this.patch(attachment, { status: { attached: true, attachmentMetadata: publishContext } }, '/status');
      log(`attached ${volumeId}`);
    } catch (error) {
      if (error instanceof ApiError) throw error;
      const attachError = { message: (error as Error).message, time: new Date().toISOString() };
      await this.patch(attachment, { status: { attached: false, attachError } }, '/status');
    }
  }

  private async detach(attachment: VolumeAttachment): Promise<void> {
    if (!attachment.metadata?.finalizers?.includes(this.finalizer)) return;
    const { nodeName, controller, log } = this.deps;
    const volumeId = await this.volumeIdOf(attachment);
    const request = csi.ControllerUnpublishVolumeRequest.fromPartial({ volumeId, nodeId: nodeName });
    await controller.call('controllerUnpublishVolume', request);
    await this.hold(attachment, false);
    log(`detached ${volumeId}`);
  }

  private async hold(attachment: VolumeAttachment, held: boolean): Promise<void> {
    const { finalizers = [], resourceVersion } = attachment.metadata ?? {};
    if (finalizers.includes(this.finalizer) === held) return;
    const next = held ? [...finalizers, this.finalizer] : finalizers.filter(entry => entry !== this.finalizer);
    await this.patch(attachment, { metadata: { resourceVersion, finalizers: next } });
  }

  private async volumeIdOf({ spec }: VolumeAttachment): Promise<string> {
    const path = `/api/v1/persistentvolumes/${spec.source.persistentVolumeName}`;
    const volume = await this.deps.api.request<PersistentVolume>('GET', path);
    return volume.spec?.csi?.volumeHandle ?? '';
  }

  private async patch({ metadata }: VolumeAttachment, body: Patch, subresource = ''): Promise<void> {
    await this.deps.api.request('PATCH', `${attachmentsPath}/${metadata?.name}${subresource}`, body);
  }
}
