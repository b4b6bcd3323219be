import fs from 'node:fs';
import { Readable } from 'node:stream';
import { extract, type Extract, type Header } from 'tar-stream';
import { LayerDirectories, LayerEntryError, entryParts } from './layer-path';
import { SpecialEntries, attributes } from './special-entries';

export interface LayerSize {
  bytes: number;
  inodes: number;
}

/** One entry's content. */
type Source = Extract extends AsyncIterable<infer T> ? T : never;

const whiteoutPrefix = '.wh.';
const opaqueName = '.wh..wh..opq';
const maxEntries = 2_000_000;

/**
 * Unpacks one layer's tar into an empty directory, in overlayfs's terms: files that the layer deletes become whiteouts. It works file by file
 * with synchronous calls, which is several times faster than asynchronous ones for the many small files of images, and yields between
 * chunks of the stream. Nothing is ever written outside of the directory: names with `..`, and paths through links, are refused.
 * Source: github.com/opencontainers/image-spec, layer.md.
 */
export async function extractLayer(root: string, tar: AsyncIterable<Uint8Array>): Promise<LayerSize> {
  const layer = new LayerExtractor(root);
  const parser = extract();
  try {
    const entries = (async () => {
      for await (const source of parser) await layer.add(source.header, source);
    })();
    const feed = (async () => {
      for await (const chunk of tar) {
        if (parser.destroyed) break;
        if (!parser.write(chunk))
          await new Promise<void>(resolve => {
            const go = (): void => {
              parser.off('drain', go).off('close', go);
              resolve();
            };
            parser.on('drain', go).on('close', go);
          });
      }
      parser.end(null);
    })();
    // When parsing fails the feed ends by itself; when the feed fails the parser must be told.
    feed.catch((error: unknown) => parser.destroy(error as Error));
    await entries;
    await feed;
    return await layer.finish();
  } catch (error) {
    parser.destroy();
    layer.abort();
    throw error;
  }
}

class LayerExtractor {
  readonly #directories: LayerDirectories;
  readonly #special: SpecialEntries;
  readonly #whiteouts: string[][] = [];
  readonly #opaque: string[][] = [];
  /** Times of directories, which change while files are put into them. */
  readonly #directoryHeaders = new Map<string, Header>();
  readonly #size: LayerSize = { bytes: 0, inodes: 0 };

  constructor(root: string) {
    this.#directories = new LayerDirectories(root);
    this.#special = new SpecialEntries(root);
  }

  async add(header: Header, content: Source): Promise<void> {
    if (++this.#size.inodes > maxEntries) throw new LayerEntryError(`the layer has more than ${maxEntries} entries`);
    const parts = entryParts(header.name);
    const name = parts[parts.length - 1] ?? '';
    if (name.startsWith(whiteoutPrefix)) this.#addWhiteout(parts, name);
    else if (header.type === 'file' || header.type === 'contiguous-file') return this.#addFile(header, parts, content);
    else this.#addOther(header, parts);
    content.resume();
  }

  #addWhiteout(parts: string[], name: string): void {
    const parent = parts.slice(0, -1);
    if (name === opaqueName) this.#opaque.push(parent);
    else if (!name.startsWith('.wh..wh.')) {
      const hidden = entryParts(name.slice(whiteoutPrefix.length));
      if (hidden.length !== 1) throw new LayerEntryError(`the whiteout "${parts.join('/')}" names no file`);
      this.#whiteouts.push([...parent, ...hidden]);
    }
  }

  /** Makes room for an entry: a later one of the same name replaces an earlier one. */
  #replace(target: string): void {
    const stat = fs.lstatSync(target, { throwIfNoEntry: false });
    if (!stat) return;
    if (stat.isDirectory()) {
      fs.rmSync(target, { recursive: true });
      this.#directories.forget(target);
      for (const known of this.#directoryHeaders.keys()) {
        if (known === target || known.startsWith(`${target}/`)) this.#directoryHeaders.delete(known);
      }
    } else fs.unlinkSync(target);
  }

  async #addFile(header: Header, parts: string[], content: Source): Promise<void> {
    if (parts.length === 0) throw new LayerEntryError('a file cannot be the root of a layer');
    const target = this.#directories.resolve(parts);
    this.#replace(target);
    this.#size.bytes += header.size;
    if (Object.keys(attributes(header)).length > 0) {
      return this.#special.addFile(header, parts.join('/'), content as AsyncIterable<Buffer>);
    }
    const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = fs.constants;
    const file = fs.openSync(target, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600);
    try {
      if (header.size > 0) {
        for await (const chunk of content as AsyncIterable<Buffer>) {
          for (let at = 0; at < chunk.length;) at += fs.writeSync(file, chunk, at);
        }
      } else content.resume();
      fs.fchownSync(file, header.uid, header.gid);
      fs.fchmodSync(file, header.mode & 0o7777); // after chown, which clears the set-user-id bit
      fs.futimesSync(file, header.mtime, header.mtime);
    } finally {
      fs.closeSync(file);
    }
  }

  #addOther(header: Header, parts: string[]): void {
    const target = this.#directories.resolve(parts);
    switch (header.type) {
      case 'directory': {
        const stat = fs.lstatSync(target, { throwIfNoEntry: false });
        if (!stat?.isDirectory()) {
          if (stat) fs.unlinkSync(target);
          fs.mkdirSync(target);
        }
        this.#directoryHeaders.set(target, header);
        return;
      }
      case 'symlink':
        this.#replace(target);
        fs.symlinkSync(header.linkname, target);
        fs.lchownSync(target, header.uid, header.gid);
        fs.lutimesSync(target, header.mtime, header.mtime);
        return;
      case 'link': {
        const source = this.#directories.resolve(entryParts(header.linkname));
        if (source === target) return;
        if (fs.lstatSync(source, { throwIfNoEntry: false })?.isDirectory() !== false) {
          throw new LayerEntryError(
            `the hard link "${header.name}" names "${header.linkname}", which is no file of the layer`,
          );
        }
        this.#replace(target);
        fs.linkSync(source, target); // does not follow a symbolic link
        return;
      }
      case 'character-device':
      case 'block-device':
      case 'fifo':
        this.#replace(target);
        this.#special.addNode(header, parts.join('/'));
        return;
      default:
      // Records of other kinds (global pax headers, GNU extensions) describe, they create nothing.
    }
  }

  async finish(): Promise<LayerSize> {
    // From here on work is done by name a second time, and partly by another program: no directory on the way may have become a link.
    this.#directories.reset();
    for (const name of this.#special.names()) this.#directories.resolve(entryParts(name));
    for (const parts of this.#whiteouts) {
      const target = this.#directories.resolve(parts);
      const stat = fs.lstatSync(target, { throwIfNoEntry: false });
      // A whiteout is about the layers below only: what the same layer puts there stays.
      if (!stat) this.#special.addWhiteout(parts.join('/'));
      else if (stat.isDirectory()) this.#opaque.push(parts);
    }
    for (const parts of this.#opaque) {
      if (parts.length === 0) continue; // the root of the root is hidden by nothing
      const target = this.#directories.resolve(parts);
      const stat = fs.lstatSync(target, { throwIfNoEntry: false });
      if (!stat) fs.mkdirSync(target, 0o755);
      else if (!stat.isDirectory())
        throw new LayerEntryError(`the whiteout in "${parts.join('/')}" is in no directory`);
      this.#special.addOpaque(parts.join('/'));
    }
    await this.#special.finish();
    for (const [directory, header] of [...this.#directoryHeaders].reverse()) {
      fs.chownSync(directory, header.uid, header.gid);
      fs.chmodSync(directory, header.mode & 0o7777);
      fs.utimesSync(directory, header.mtime, header.mtime);
    }
    return this.#size;
  }

  abort(): void {
    this.#special.abort();
  }
}

/** The same for a whole buffer, as tests have it. */
export function extractLayerFrom(root: string, tar: Uint8Array): Promise<LayerSize> {
  return extractLayer(root, Readable.from([tar]));
}
