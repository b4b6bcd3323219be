import {
  attachedVolumeName,
  attachmentName,
  claimNamesOf,
  csiDrivers,
  nodes,
  parseAttachedVolumeName,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  volumeAttachments,
  type Node,
  type PersistentVolume,
  type Pod,
  type Stored,
  type VolumeAttachment,
} from '@naru/api';
import { objectKey, type ReconcileResult } from '@naru/client';
import { isReason } from '@naru/foundation';
import { equalJson } from '../../framework/canonical';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import type { ClusterInformers } from '../../framework/informers';
import { withKind } from '../../framework/owner';
import { outOfServiceTaint, readyStatus } from '../node-lifecycle/taints';
import { wantedVolumes, type WantedVolume } from './wanted-volumes';

/** On nodes whose kubelet leaves attaching to this controller. */
const managedAnnotation = 'volumes.kubernetes.io/controller-managed-attach-detach';
/** So long a node that is not ready may keep a volume in use that no pod there wants. Upstream's maxWaitForUnmountDuration. */
const unmountPatienceMs = 6 * 60_000;

interface NodeView {
  name: string;
  before: Memory | undefined;
  now: Memory;
  node: Stored<Node> | undefined;
  wanted: Map<string, WantedVolume>;
  attachments: readonly Stored<VolumeAttachment>[];
}

const listNames = (list: readonly { name: string }[] = []): string[] => list.map(({ name }) => name).sort();

/** With one of these alone a volume is for one node at a time. */
function isExclusive({ spec }: PersistentVolume): boolean {
  const modes = spec?.accessModes ?? [];
  return modes.length > 0 && !modes.some(mode => mode === 'ReadWriteMany' || mode === 'ReadOnlyMany');
}

/** What is remembered of a node from one look to the next. Lost with the process, as upstream: waits begin anew. */
interface Memory {
  /** Attachment → since when it is in use though no pod wants it. */
  unwantedSince: Map<string, number>;
  /** The failures that pods were told of. */
  told: Set<string>;
}

class AttachDetach {
  private readonly memories = new Map<string, Memory>();

  constructor(private readonly deps: ControllerDeps) {}

  async reconcile(name: string): Promise<ReconcileResult> {
    const { informers } = this.deps;
    const view: NodeView = {
      name,
      before: this.memories.get(name),
      now: { unwantedSince: new Map(), told: new Set() },
      node: informers.lister(nodes).get({ name }),
      wanted: wantedVolumes(name, informers),
      attachments: informers.lister(volumeAttachments).byIndex('node', name).filter(isOurs),
    };
    this.memories.set(name, view.now);
    await this.attach(view);
    const { leaving, requeueAfterMs } = this.leaving(view);
    await this.report(view, leaving);
    for (const attachment of leaving) await this.detach(attachment);
    if (view.now.unwantedSince.size + view.now.told.size === 0) this.memories.delete(name);
    return requeueAfterMs === undefined ? {} : { requeueAfterMs };
  }

  private async attach(view: NodeView): Promise<void> {
    const { node, wanted, attachments } = view;
    if (node?.metadata.annotations?.[managedAnnotation] !== 'true') return;
    const present = new Map(attachments.map(attachment => [attachment.metadata.name, attachment]));
    for (const [key, want] of wanted) {
      const attachment = present.get(key);
      if (attachment) this.tellFailure(view, attachment, want);
      else if (!this.isElsewhere(view, want)) await this.create(key, view.name, want);
    }
  }

  private async create(key: string, nodeName: string, { handle, volume }: WantedVolume): Promise<void> {
    const attachment: VolumeAttachment = {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'VolumeAttachment',
      metadata: { name: key },
      spec: { attacher: handle.driver, nodeName, source: { persistentVolumeName: volume.metadata.name } },
    };
    try {
      await this.deps.client.create(volumeAttachments, attachment);
    } catch (error) {
      // Our copy is behind: its event brings the node back.
      if (!isReason(error, 'AlreadyExists')) throw error;
    }
  }

  /** A volume for one node at a time waits until it has left the other. */
  private isElsewhere(view: NodeView, { volume, pods: waiting }: WantedVolume): boolean {
    const { informers } = this.deps;
    if (!isExclusive(volume)) return false;
    const others = informers.lister(volumeAttachments).byIndex('volume', volume.metadata.name);
    const other = others.find(({ spec }) => spec.nodeName !== view.name);
    if (!other) return false;
    const { namespace, name } = volume.spec?.claimRef ?? {};
    const users = informers
      .lister(pods)
      .byIndex('claim', `${namespace ?? ''}/${name ?? ''}`)
      .filter(({ spec }) => spec?.nodeName === other.spec.nodeName)
      .map(({ metadata }) => metadata.name);
    const why =
      users.length > 0
        ? `Volume is already used by pod(s) ${users.join(', ')}`
        : "Volume is already exclusively attached to one node and can't be attached to another";
    this.tellOnce(view, waiting, `Multi-Attach error for volume "${volume.metadata.name}" ${why}`);
    return true;
  }

  private tellFailure(
    view: NodeView,
    { status }: Stored<VolumeAttachment>,
    { volume, pods: waiting }: WantedVolume,
  ): void {
    const { message } = status?.attachError ?? {};
    if (status?.attached || !message) return;
    this.tellOnce(view, waiting, `AttachVolume.Attach failed for volume "${volume.metadata.name}" : ${message}`);
  }

  private tellOnce({ before, now }: NodeView, waiting: readonly Stored<Pod>[], message: string): void {
    now.told.add(message);
    if (!before?.told.has(message)) this.tell(waiting, 'Warning', 'FailedAttachVolume', message);
  }

  private tell(about: readonly Stored<Pod>[], type: 'Normal' | 'Warning', reason: string, message: string): void {
    for (const pod of about) this.deps.recorder.record(withKind(pods, pod), { type, reason, message });
  }

  /** The attachments that are to go now, and when to look again at those that may have to go by force. */
  private leaving({ node, wanted, attachments, name, before, now }: NodeView): {
    leaving: Stored<VolumeAttachment>[];
    requeueAfterMs: number | undefined;
  } {
    const { clock } = this.deps;
    const inUse = new Set(
      (node?.status?.volumesInUse ?? [])
        .map(parseAttachedVolumeName)
        .flatMap(handle => (handle ? [attachmentName(handle, name)] : [])),
    );
    const outOfService = node?.spec?.taints?.some(({ key }) => key === outOfServiceTaint) ?? false;
    let requeueAfterMs: number | undefined;
    const leaving = attachments.filter(({ metadata }) => {
      if (wanted.has(metadata.name)) return false;
      if (!node || outOfService || !inUse.has(metadata.name)) return true;
      const since = before?.unwantedSince.get(metadata.name) ?? clock.now();
      now.unwantedSince.set(metadata.name, since);
      if (readyStatus(node) === 'True') return false;
      const leftMs = since + unmountPatienceMs - clock.now();
      if (leftMs > 0) requeueAfterMs = Math.min(requeueAfterMs ?? leftMs, leftMs);
      return leftMs <= 0;
    });
    return { leaving, requeueAfterMs };
  }

  /**
   * What is attached, in the Node's status, without what is about to be detached: a kubelet begins to use only what it reads
   * there. Written only onto the version that was judged, in which nothing that leaves was in use.
   */
  private async report({ name, node, wanted, attachments }: NodeView, leaving: readonly unknown[]): Promise<void> {
    if (!node) return;
    const { client, informers } = this.deps;
    const staying = attachments.filter(
      attachment =>
        attachment.status?.attached && !attachment.metadata.deletionTimestamp && !leaving.includes(attachment),
    );
    const attached = staying.flatMap(({ spec, metadata }) => {
      const known = wanted.get(metadata.name)?.handle ?? handleOf(spec.source.persistentVolumeName, informers);
      return known ? [{ name: attachedVolumeName(known), devicePath: '' }] : [];
    });
    const before = listNames(node.status?.volumesAttached);
    if (equalJson(before, listNames(attached))) return;
    const { uid, resourceVersion } = node.metadata;
    const body = { metadata: { uid, resourceVersion }, status: { volumesAttached: attached } };
    await client.patch(nodes, { name }, { type: 'merge', body }, { subresource: 'status' });
    for (const { handle, volume, pods: waiting } of wanted.values()) {
      const unique = attachedVolumeName(handle);
      if (before.includes(unique) || !attached.some(entry => entry.name === unique)) continue;
      const message = `AttachVolume.Attach succeeded for volume "${volume.metadata.name}" `;
      this.tell(waiting, 'Normal', 'SuccessfulAttachVolume', message);
    }
  }

  private async detach({ metadata }: Stored<VolumeAttachment>): Promise<void> {
    const { name, uid, deletionTimestamp } = metadata;
    // The attacher holds it until the volume is off the node.
    if (deletionTimestamp) return;
    try {
      await this.deps.client.delete(volumeAttachments, { name }, { preconditions: { uid } });
    } catch (error) {
      if (!isReason(error, 'NotFound', 'Conflict')) throw error;
    }
  }
}

/** Named as this controller names them: others may be somebody's own. */
function isOurs({ metadata, spec }: Stored<VolumeAttachment>): boolean {
  return /^csi-[0-9a-f]{64}$/.test(metadata.name) && spec.source.persistentVolumeName !== undefined;
}

function handleOf(volumeName: string | undefined, informers: ClusterInformers) {
  const csi = volumeName && informers.lister(persistentVolumes).get({ name: volumeName })?.spec?.csi;
  return csi ? { driver: csi.driver, handle: csi.volumeHandle } : undefined;
}

function nodesOfClaim(key: string, informers: ClusterInformers): string[] {
  return informers
    .lister(pods)
    .byIndex('claim', key)
    .flatMap(({ spec }) => spec?.nodeName ?? []);
}

function nodesOfVolume(volume: PersistentVolume | undefined, informers: ClusterInformers): string[] {
  const { namespace, name } = volume?.spec?.claimRef ?? {};
  return volume?.spec?.csi && name ? nodesOfClaim(`${namespace ?? ''}/${name}`, informers) : [];
}

/** What of a Node this controller reads. */
function judged({ metadata, spec, status }: Stored<Node>): unknown {
  const { volumesAttached, volumesInUse } = status ?? {};
  const taken = spec?.taints?.some(({ key }) => key === outOfServiceTaint);
  const ready = readyStatus({ status } as Node) === 'True';
  return [metadata.annotations?.[managedAnnotation], taken, ready, volumesAttached, volumesInUse];
}

/** Has CSI drivers attach the volumes of pods to their nodes, and detach them when neither pod nor kubelet needs them. */
export const attachDetachController: Controller = {
  name: 'persistentvolume-attach-detach-controller',
  eventSource: 'attachdetach-controller',
  watches: ({ informers }) => [
    watch(pods, pod => (pod.spec?.nodeName && claimNamesOf(pod).length > 0 ? [pod.spec.nodeName] : [])),
    watch(persistentVolumeClaims, claim => nodesOfClaim(objectKey(claim), informers)),
    watch(persistentVolumes, volume => nodesOfVolume(volume, informers)),
    watch(volumeAttachments, ({ spec }) => {
      const { persistentVolumeName: name } = spec.source;
      // Another node may wait for this one to let go.
      const volume = name ? informers.lister(persistentVolumes).get({ name }) : undefined;
      return [spec.nodeName, ...nodesOfVolume(volume, informers)];
    }),
    watch(csiDrivers, () => informers.lister(nodes).list().map(objectKey)),
    watch(nodes, ({ metadata }) => [metadata.name], {
      relevant: (node, old) => !equalJson(judged(node), judged(old)),
    }),
  ],
  build(deps) {
    const controller = new AttachDetach(deps);
    return { reconcile: key => controller.reconcile(key) };
  },
};
