import fs from 'node:fs';
import path from 'node:path';
import { mountIdmapped } from '../process/idmapped-mounts';
import { mountOf, unmount } from '../process/mounts';
import type { SpecMount } from '../spec/mounts';
import type { OciMount } from '../spec/oci-types';

const locked = ['nosuid', 'nodev', 'noexec'];

/** What a mount has that a user namespace may not take away: to change something else of it, runc has to be told. */
function lockedOptions(source: string): string[] {
  return mountOf(source)?.options.filter(option => locked.includes(option)) ?? [];
}

/**
 * The mounts of one container that show ids as its user namespace has them. Their copies are attached, in a directory of the container's own, only until the
 * OCI runtime has taken them over; root in the pod can reach them there, whatever the rights above their sources.
 */
export class MappedMounts {
  readonly #directory: string;

  constructor(bundle: string) {
    this.#directory = path.join(bundle, 'mounts');
  }

  /** The mounts as the OCI runtime is to have them. */
  async attach(mounts: readonly SpecMount[], userNamespace: string | undefined): Promise<OciMount[]> {
    const copies: { source: string; target: string; recursive: boolean }[] = [];
    const all = mounts.map(({ idmapped, ...mount }, index) => {
      if (!idmapped || userNamespace === undefined) return mount;
      const target = path.join(this.#directory, String(index));
      fs.mkdirSync(this.#directory, { recursive: true, mode: 0o711 });
      if (fs.statSync(mount.source).isDirectory()) fs.mkdirSync(target);
      else fs.writeFileSync(target, '');
      copies.push({ source: mount.source, target, recursive: mount.options.includes('rbind') });
      return { ...mount, source: target, options: [...mount.options, ...lockedOptions(mount.source)] };
    });
    if (userNamespace !== undefined) await mountIdmapped(userNamespace, copies);
    return all;
  }

  async detach(): Promise<void> {
    if (!fs.existsSync(this.#directory)) return;
    await unmount(...fs.readdirSync(this.#directory).map(name => path.join(this.#directory, name)));
    fs.rmSync(this.#directory, { recursive: true });
  }
}
