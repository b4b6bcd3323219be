import fs from 'node:fs';
import path from 'node:path';
import type { ImageStore } from '../images/image-store';
import type { OciRuntimes } from '../oci/oci-runtimes';
import { listDirectory } from '../process/files';
import type { ContainerRecords } from './container-record';
import type { ExitWatcher } from './exit-watcher';
import { MappedMounts } from './mapped-mounts';
import { Snapshot } from './snapshot';

interface ContainerFilesDeps {
  records: ContainerRecords;
  images: ImageStore;
  runtimes: OciRuntimes;
  exits: ExitWatcher;
  /** On a tmpfs: the bundles. */
  state: string;
}

/** What each container has on disk and mounted: its directory with what it has written, its bundle, its roots. */
export class ContainerFiles {
  constructor(private readonly deps: ContainerFilesDeps) {}

  /** Survives the machine. */
  directory(id: string): string {
    return this.deps.records.directory(id);
  }

  /** What the OCI runtime and conmon work with. */
  bundle(id: string): string {
    return path.join(this.deps.state, 'containers', id);
  }

  /** Ids that have a bundle. */
  bundles(): string[] {
    return listDirectory(path.join(this.deps.state, 'containers'));
  }

  snapshot(id: string): Snapshot {
    return this.#snapshotAt(id, 'fs');
  }

  /** Of the volume with that index that is made of an image, and the key under which it uses the image's layers. */
  volume(id: string, index: number): { volume: Snapshot; key: string } {
    const name = `volume-${index}`;
    return { volume: this.#snapshotAt(id, name), key: `${id}-${name}` };
  }

  #snapshotAt(id: string, name: string): Snapshot {
    return new Snapshot(
      path.join(this.directory(id), name),
      path.join(this.bundle(id), `rootfs-${name}`),
      this.deps.images,
    );
  }

  /** Removes all that there is of a container, also when its creation or removal was cut off. Its cgroup: empty when nobody knows it. */
  async wipe(id: string, cgroup: string): Promise<void> {
    // Of a leftover nobody knows whose it is.
    for (const runtime of this.deps.runtimes.all()) await runtime.delete(id, cgroup);
    await new MappedMounts(this.bundle(id)).detach(); // of a creation that failed
    await this.snapshot(id).remove(id);
    const directory = this.directory(id);
    for (const name of listDirectory(directory).filter(entry => entry.startsWith('volume-'))) {
      await this.#snapshotAt(id, name).remove(`${id}-${name}`);
    }
    this.deps.records.forget(id);
    fs.rmSync(directory, { recursive: true, force: true });
    fs.rmSync(this.bundle(id), { recursive: true, force: true });
    this.deps.exits.forget(id);
  }
}
