import fs from 'node:fs';
import path from 'node:path';
import type { ImageStore } from '../images/image-store';
import { mountOverlay, unmount } from '../process/mounts';

/** A container's root: its image's layers, read only, below a layer of its own, joined by overlayfs. */
export class Snapshot {
  /** What the container has written. */
  readonly upper: string;
  readonly #work: string;

  constructor(
    /** On a disk: the written layer lives here. */
    readonly directory: string,
    /** Where it is mounted. Whoever is root in a pod's user namespace must be able to get there, past directories of root of the node. */
    readonly rootfs: string,
    private readonly store: ImageStore,
  ) {
    this.upper = path.join(directory, 'upper');
    this.#work = path.join(directory, 'work');
  }

  /**
   * Mounts the root on top of the given layers, the lowest first. `owner` exists for as long as the layers must stay. `users`: in place of
   * the store's own layers, those that a user namespace sees as its own, and who is root there.
   */
  async mount(
    key: string,
    diffIds: readonly string[],
    owner: string,
    users?: { layers: string; root: { uid: number; gid: number } },
  ): Promise<void> {
    const distinct = [...new Set(diffIds)];
    this.store.use(key, distinct, owner);
    for (const place of [this.rootfs, this.upper, this.#work]) fs.mkdirSync(place, { recursive: true });
    fs.chmodSync(this.upper, 0o755);
    // What the container writes belongs, on the disk too, to ids that are nobody on the node.
    if (users) fs.chownSync(this.upper, users.root.uid, users.root.gid);
    // overlayfs wants the topmost first. A layer that an image repeats counts where it is topmost.
    const lower = [...new Set([...diffIds].reverse())].map(diffId => this.store.layers.relativePath(diffId));
    if (lower.length === 0) {
      const empty = path.join(this.directory, 'empty');
      fs.mkdirSync(empty, { recursive: true });
      lower.push(empty);
    }
    const options = `lowerdir=${lower.join(':')},upperdir=${this.upper},workdir=${this.#work}`;
    await mountOverlay(this.rootfs, options, users?.layers ?? this.store.layers.directory);
  }

  async unmount(): Promise<void> {
    await unmount(this.rootfs);
  }

  /** Unmounts, and deletes what the container has written. */
  async remove(key: string): Promise<void> {
    await this.unmount();
    await fs.promises.rm(this.directory, { recursive: true, force: true });
    this.store.release(key);
  }
}
