import fs from 'node:fs';
import path from 'node:path';

/** An entry that would write outside of the layer, or that is malformed. */
export class LayerEntryError extends Error {}

/**
 * The parts of a path inside a layer, cleaned: no empty part, no `.`. Throws for one that climbs out with `..`, and for names that
 * no file can have.
 */
export function entryParts(name: string): string[] {
  const parts = name.split('/').filter(part => part !== '' && part !== '.');
  for (const part of parts) {
    if (part === '..') throw new LayerEntryError(`the layer entry "${name}" leads out of the layer`);
    if (part.includes('\0') || Buffer.byteLength(part) > 255)
      throw new LayerEntryError('a layer entry has an impossible name');
  }
  return parts;
}

/**
 * Makes sure that every directory above an entry is a real directory of the layer, never a symbolic link, and returns the entry's
 * path. A layer may write below a directory that another layer made a link: it then gets a directory of its own here.
 */
export class LayerDirectories {
  readonly #known = new Set<string>();

  constructor(readonly root: string) {}

  resolve(parts: readonly string[]): string {
    let current = this.root;
    for (const part of parts.slice(0, -1)) {
      current = `${current}/${part}`;
      if (this.#known.has(current)) continue;
      const stat = fs.lstatSync(current, { throwIfNoEntry: false });
      if (!stat) fs.mkdirSync(current, 0o755);
      else if (!stat.isDirectory()) {
        throw new LayerEntryError(
          `the layer entry "${parts.join('/')}" goes through "${path.relative(this.root, current)}", which is no directory`,
        );
      }
      this.#known.add(current);
    }
    return parts.length === 0 ? this.root : `${current}/${parts[parts.length - 1]}`;
  }

  /** Forgets what it has seen: before a second pass over entries whose directories later ones may have replaced. */
  reset(): void {
    this.#known.clear();
  }

  /** An entry replaced what was a directory. */
  forget(directory: string): void {
    for (const known of this.#known)
      if (known === directory || known.startsWith(`${directory}/`)) this.#known.delete(known);
  }
}
