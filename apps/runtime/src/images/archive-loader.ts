import path from 'node:path';
import { StatusError } from '@naru/foundation';
import { openArchive, readText, type ArchiveSource } from './archive-source';
import { sha256 } from './digest';
import { referencesOf, type ImageStore } from './image-store';
import { isIndex, parseImageConfig, parseManifest, selectPlatform, type Descriptor } from './manifest';
import { formatReference, parseReference } from './reference';

export interface LoadedImage {
  /** sha256:... */
  id: string;
  references: string[];
}

/**
 * Puts the images of an archive into a store: a tar of `docker save`, a tar with an OCI layout, or a directory with one. `name` is the
 * reference for an image that the archive gives no name. Works on the store's directory alone: no runtime has to run.
 */
export async function loadArchive(store: ImageStore, file: string, name = ''): Promise<LoadedImage[]> {
  const source = await openArchive(path.resolve(file), path.join(store.directory, 'tmp'));
  try {
    // Newer `docker save` writes both forms into one tar; the layout has the digests.
    if (source.has('index.json')) return await loadLayout(store, source, name);
    if (source.has('manifest.json')) return await loadDocker(store, source, name);
    throw new StatusError(
      'BadRequest',
      `${file} is no image archive: it has neither an index.json nor a manifest.json`,
    );
  } finally {
    source.close();
  }
}

function blobPath(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`;
}

/** The full name of a layout's image: some tools write a whole reference, others only the tag. */
function layoutName(annotations: Record<string, string>, fallback: string): string {
  const whole = annotations['io.containerd.image.name'];
  if (whole) return whole;
  const short = annotations['org.opencontainers.image.ref.name'] ?? '';
  if (/[/:]/.test(short)) return short;
  if (fallback === '') return short;
  const reference = parseReference(fallback);
  return formatReference(short && !/:[^/]*$/.test(fallback) ? { ...reference, tag: short } : reference);
}

async function loadLayout(store: ImageStore, source: ArchiveSource, fallback: string): Promise<LoadedImage[]> {
  const index = JSON.parse(await readText(source, 'index.json')) as { manifests?: Descriptor[] };
  const loaded: LoadedImage[] = [];
  for (const entry of index.manifests ?? []) {
    const name = layoutName(entry.annotations ?? {}, fallback);
    let digest = entry.digest;
    let text = await readText(source, blobPath(digest));
    if (sha256(text) !== digest) throw new StatusError('BadRequest', `the archive's manifest is not ${digest}`);
    if (isIndex(text)) {
      digest = selectPlatform(text).digest;
      text = await readText(source, blobPath(digest));
    }
    const manifest = parseManifest(text);
    const configText = await readText(source, blobPath(manifest.config.digest));
    if (sha256(configText) !== manifest.config.digest)
      throw new StatusError('BadRequest', `the archive's configuration is not ${manifest.config.digest}`);
    const config = parseImageConfig(configText);
    for (const [index, diffId] of config.rootfs.diff_ids.entries()) {
      const layer = manifest.layers[index];
      if (!layer)
        throw new StatusError('BadRequest', 'the manifest and the configuration differ in their number of layers');
      await store.layers.add(diffId, layer, () => Promise.resolve(source.open(blobPath(layer.digest))));
    }
    const references = name === '' ? [] : referencesOf(name, entry.digest);
    const size = [manifest.config, ...manifest.layers].reduce((sum, part) => sum + part.size, text.length);
    store.add({ id: manifest.config.digest, config, size, pinned: true }, references);
    loaded.push({ id: manifest.config.digest, references });
  }
  return loaded;
}

async function loadDocker(store: ImageStore, source: ArchiveSource, fallback: string): Promise<LoadedImage[]> {
  const images = JSON.parse(await readText(source, 'manifest.json')) as {
    Config: string;
    RepoTags?: string[] | null;
    Layers: string[];
  }[];
  const loaded: LoadedImage[] = [];
  for (const image of images) {
    const configText = await readText(source, image.Config);
    const config = parseImageConfig(configText);
    let size = configText.length;
    for (const [index, diffId] of config.rootfs.diff_ids.entries()) {
      const file = image.Layers[index];
      if (file === undefined)
        throw new StatusError('BadRequest', 'the archive has fewer layers than the configuration');
      await store.layers.add(diffId, undefined, () => Promise.resolve(source.open(file)));
      size += store.layers.size(diffId).bytes;
    }
    const id = sha256(configText);
    const names = image.RepoTags?.length ? image.RepoTags : fallback ? [fallback] : [];
    const references = names.map(name => formatReference(parseReference(name)));
    store.add({ id, config, size, pinned: true }, references);
    loaded.push({ id, references });
  }
  return loaded;
}
