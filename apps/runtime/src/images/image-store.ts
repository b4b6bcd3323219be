import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { StatusError } from '@naru/foundation';
import { listDirectory, readJson, writeAtomic } from '../process/files';
import { LayerStore } from './layer-store';
import { type ImageConfig } from './manifest';
import { formatReference, isDigest, parseReference, repositoryName } from './reference';

/** An image as it is stored: everything that a container needs of it. */
export interface StoredImage {
  /** The digest of its configuration, sha256:... */
  id: string;
  config: ImageConfig;
  /** Bytes of the manifest's contents, compressed as they were fetched. */
  size: number;
  /** Never collected as garbage: it came from an archive, and nothing could bring it back. */
  pinned?: boolean;
}

/** An image with its names. */
export interface NamedImage extends StoredImage {
  /** registry/repository:tag */
  tags: string[];
  /** registry/repository@digest */
  digests: string[];
}

interface StoredReference {
  reference: string;
  id: string;
}

interface LayerUse {
  layers: string[];
  /** A path that exists for as long as the use lasts. */
  owner: string;
}

function fileName(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/**
 * The images of a machine, in files, so that several runtimes (the nodes of one machine) and the command `load` can share them:
 * `images/ID.json`, `references/HASH.json` (a name and what it names), `uses/HASH.json` (layers that containers stand on) and
 * unpacked layers. Every file is replaced atomically; an index in memory follows the directories' times.
 */
export class ImageStore {
  readonly layers: LayerStore;
  readonly #directories: { images: string; references: string; uses: string };
  #index = new Map<string, NamedImage>();
  #byReference = new Map<string, string>();
  #stamp = '';

  constructor(readonly directory: string) {
    this.layers = new LayerStore(directory);
    const at = (name: string): string => path.join(directory, name);
    this.#directories = { images: at('images'), references: at('references'), uses: at('uses') };
    for (const place of Object.values(this.#directories)) fs.mkdirSync(place, { recursive: true, mode: 0o700 });
    this.layers.cleanTemporary();
  }

  #refresh(): void {
    const times = [this.#directories.images, this.#directories.references].map(place => fs.statSync(place).mtimeMs);
    const stamp = times.join(' ');
    // The kernel's clock for these times ticks slowly: a directory changed just now may change again under the same time.
    const settled = times.every(time => Date.now() - time > 50);
    if (stamp === this.#stamp && settled) return;
    this.#stamp = stamp;
    const index = new Map<string, NamedImage>();
    for (const name of listDirectory(this.#directories.images)) {
      if (name.startsWith('.')) continue;
      const known = this.#index.get(`sha256:${name.replace('.json', '')}`);
      const image = known ?? (readJson(path.join(this.#directories.images, name)) as StoredImage | undefined);
      if (image?.id) index.set(image.id, { ...image, tags: [], digests: [] });
    }
    const byReference = new Map<string, string>();
    for (const name of listDirectory(this.#directories.references)) {
      const entry = readJson(path.join(this.#directories.references, name)) as StoredReference | undefined;
      const image = entry && index.get(entry.id);
      if (!entry || !image) continue;
      byReference.set(entry.reference, entry.id);
      (entry.reference.includes('@') ? image.digests : image.tags).push(entry.reference);
    }
    this.#index = index;
    this.#byReference = byReference;
  }

  list(): NamedImage[] {
    this.#refresh();
    return [...this.#index.values()];
  }

  /** Finds an image by its id (also without `sha256:`, or the first 12 digits and more), tag or digest reference. */
  find(name: string): NamedImage | undefined {
    this.#refresh();
    const hex = name.startsWith('sha256:') ? name.slice(7) : name;
    if (/^[0-9a-f]{12,64}$/.test(hex)) {
      const exact = this.#index.get(`sha256:${hex}`);
      if (exact) return exact;
      const matches = [...this.#index.values()].filter(image => image.id.startsWith(`sha256:${hex}`));
      if (matches.length === 1) return matches[0];
    }
    if (isDigest(name))
      return [...this.#index.values()].find(image => image.digests.some(entry => entry.endsWith(`@${name}`)));
    let reference: ReturnType<typeof parseReference>;
    try {
      reference = parseReference(name);
    } catch {
      return undefined;
    }
    const id = this.#byReference.get(formatReference(reference));
    return id === undefined ? undefined : this.#index.get(id);
  }

  /** Like `find`, but throws NotFound. */
  get(name: string): NamedImage {
    const image = this.find(name);
    if (!image) throw new StatusError('NotFound', `image "${name}" not found`);
    return image;
  }

  /**
   * Records an image whose layers are unpacked, under its names. Throws Conflict when a layer has been removed meanwhile: pull again.
   */
  add(image: StoredImage, names: readonly string[]): void {
    writeAtomic(path.join(this.#directories.images, `${image.id.slice(7)}.json`), JSON.stringify(image));
    for (const reference of names) {
      writeAtomic(
        path.join(this.#directories.references, `${fileName(reference)}.json`),
        JSON.stringify({ reference, id: image.id } satisfies StoredReference),
      );
    }
    const missing = image.config.rootfs.diff_ids.find(diffId => !this.layers.has(diffId));
    if (missing) throw new StatusError('Conflict', `the layer ${missing} was removed while the image was pulled`);
  }

  /** Removes an image with all its names; layers go when nothing needs them any more. An unknown image is none. */
  async remove(name: string): Promise<void> {
    const image = this.find(name);
    if (!image) return;
    for (const reference of [...image.tags, ...image.digests]) {
      fs.rmSync(path.join(this.#directories.references, `${fileName(reference)}.json`), { force: true });
    }
    fs.rmSync(path.join(this.#directories.images, `${image.id.slice(7)}.json`), { force: true });
    await this.collect(image.config.rootfs.diff_ids);
  }

  /** Notes that somebody stands on the layers, for as long as the path `owner` exists. Throws Conflict when one is gone. */
  use(key: string, layers: string[], owner: string): void {
    writeAtomic(
      path.join(this.#directories.uses, `${fileName(key)}.json`),
      JSON.stringify({ layers, owner } satisfies LayerUse),
    );
    const missing = layers.find(diffId => !this.layers.has(diffId));
    if (missing) {
      this.release(key);
      throw new StatusError('Conflict', `the layer ${missing} has been removed`);
    }
  }

  release(key: string): void {
    fs.rmSync(path.join(this.#directories.uses, `${fileName(key)}.json`), { force: true });
  }

  #neededLayers(): Set<string> {
    const needed = new Set<string>();
    this.#stamp = '';
    for (const image of this.list()) for (const diffId of image.config.rootfs.diff_ids) needed.add(diffId);
    for (const name of listDirectory(this.#directories.uses)) {
      const file = path.join(this.#directories.uses, name);
      const use = readJson(file) as LayerUse | undefined;
      if (!use) continue;
      if (fs.existsSync(use.owner)) for (const diffId of use.layers) needed.add(diffId);
      else fs.rmSync(file, { force: true });
    }
    return needed;
  }

  /**
   * Deletes those of the layers that no image and no container needs. Users write down their need before they look whether the layer is
   * there; so a second look after taking a layer away sees whoever came in between.
   */
  async collect(candidates: readonly string[] = this.layers.list()): Promise<void> {
    const needed = this.#neededLayers();
    for (const diffId of candidates) {
      if (needed.has(diffId) || !this.layers.has(diffId)) continue;
      const retired = this.layers.retire(diffId);
      if (this.#neededLayers().has(diffId)) retired.restore();
      else await retired.discard();
    }
  }
}

/** The names under which a pulled image is known: its tag, when it has one, and its digest in that repository. */
export function referencesOf(text: string, manifestDigest: string): string[] {
  const reference = parseReference(text);
  const names = [`${repositoryName(reference)}@${manifestDigest}`];
  if (reference.tag && !reference.digest) names.push(formatReference(reference));
  if (reference.digest && reference.digest !== manifestDigest) names.push(formatReference(reference));
  return names;
}
