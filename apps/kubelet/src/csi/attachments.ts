import { attachedVolumeName, attachmentName, nodes, volumeAttachments, type CsiHandle } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import type { Clock } from '@naru/foundation';
import { listVolumeData } from './volume-data';

export interface AttachmentsDeps {
  client: ObjectsClient;
  clock: Clock;
  nodeName: string;
  /** The list of volumes in use has changed: the Node is to say so. */
  onChange: () => void;
}

export interface AttachedVolume extends CsiHandle {
  /** Of the PersistentVolume. */
  name: string;
}

const pollMs = 200;
const patienceMs = 120_000;

/**
 * Volumes that a controller attaches to this node: they are told as in use before they are mounted, so that nobody
 * detaches them, and mounted when they are attached.
 */
export class Attachments {
  /** Unique name → directories of the pods' volumes that need it. */
  private readonly users = new Map<string, Set<string>>();

  constructor(private readonly deps: AttachmentsDeps) {}

  /** Takes up what an earlier kubelet mounted. */
  async recover(podsDirectory: string): Promise<void> {
    for (const [directory, data] of await listVolumeData(podsDirectory)) {
      if (data.attached)
        this.use({ name: data.specVolID, driver: data.driverName, handle: data.volumeHandle }, directory);
    }
  }

  /** For node.status.volumesInUse. */
  inUse(): string[] {
    return [...this.users.keys()].sort();
  }

  use(volume: AttachedVolume, directory: string): void {
    const name = attachedVolumeName(volume);
    const users = this.users.get(name) ?? new Set();
    if (users.size === 0) {
      this.users.set(name, users);
      this.deps.onChange();
    }
    users.add(directory);
  }

  release(directory: string): void {
    for (const [name, users] of this.users) {
      if (!users.delete(directory) || users.size > 0) continue;
      this.users.delete(name);
      this.deps.onChange();
    }
  }

  /** Resolves with what the attacher says of the volume when it is attached. Throws when that takes too long. */
  async attached(volume: AttachedVolume, signal: AbortSignal | undefined): Promise<Record<string, string>> {
    const { client, clock, nodeName } = this.deps;
    const name = attachedVolumeName(volume);
    const deadline = clock.now() + patienceMs;
    for (;;) {
      signal?.throwIfAborted();
      const { status } = await client.get(nodes, { name: nodeName });
      const isSafe = status?.volumesInUse?.includes(name) ?? false;
      if (isSafe && status?.volumesAttached?.some(attached => attached.name === name)) {
        const attachment = await client.get(volumeAttachments, { name: attachmentName(volume, nodeName) });
        if (attachment.status?.attached) return attachment.status.attachmentMetadata ?? {};
      }
      if (clock.now() > deadline) {
        throw new Error(
          `volume not attached according to node status for volume "${volume.name}" (UniqueName: "${name}")`,
        );
      }
      await clock.sleep(pollMs, signal);
    }
  }
}
