import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { listDirectory, readJson, writeAtomic } from '../process/files';
import { decompress } from './decompress';
import { DigestMeter, digestMismatch } from './digest';
import { extractLayer, type LayerSize } from './layer-extractor';
import type { Descriptor } from './manifest';

/** Names in an overlay's option string must be short: it has one page for up to 500 layers. */
const nameLength = 16;
const abandonedAfterMs = 24 * 3_600_000;

/**
 * Unpacked layers under `DIR/layers/<16 hex digits of the diff id>/diff`, shared by all images, containers and runtimes of the
 * machine. A layer appears whole, by renaming a temporary directory, and never changes afterwards.
 */
export class LayerStore {
  readonly directory: string;
  readonly #temporary: string;
  readonly #pending = new Map<string, Promise<void>>();

  constructor(store: string) {
    this.directory = path.join(store, 'layers');
    this.#temporary = path.join(store, 'tmp');
    fs.mkdirSync(this.directory, { recursive: true, mode: 0o711 });
    fs.mkdirSync(this.#temporary, { recursive: true, mode: 0o700 });
  }

  #name(diffId: string): string {
    return diffId.slice('sha256:'.length, 'sha256:'.length + nameLength);
  }

  /** The layer's files, relative to `directory`. */
  relativePath(diffId: string): string {
    return `${this.#name(diffId)}/diff`;
  }

  /** True when the layer is unpacked. Throws when another layer holds its short name. */
  has(diffId: string): boolean {
    const info = readJson(path.join(this.directory, this.#name(diffId), 'layer.json')) as
      { diffId?: string } | undefined;
    if (info && info.diffId !== diffId)
      throw new Error(`the layers ${diffId} and ${info.diffId} have the same short name`);
    return info !== undefined;
  }

  size(diffId: string): LayerSize {
    const info = readJson(path.join(this.directory, this.#name(diffId), 'layer.json')) as
      Partial<LayerSize> | undefined;
    return { bytes: info?.bytes ?? 0, inodes: info?.inodes ?? 0 };
  }

  /**
   * Unpacks a layer while it arrives, and keeps it if both its compressed bytes and its tar have the digests they should have.
   * Concurrent calls for one layer share the work.
   */
  async add(
    diffId: string,
    blob: Descriptor | undefined,
    open: () => Promise<AsyncIterable<Uint8Array>>,
  ): Promise<void> {
    if (this.has(diffId)) return;
    const pending = this.#pending.get(diffId);
    if (pending) return pending;
    const work = this.#unpack(diffId, blob, open).finally(() => this.#pending.delete(diffId));
    this.#pending.set(diffId, work);
    return work;
  }

  async #unpack(
    diffId: string,
    blob: Descriptor | undefined,
    open: () => Promise<AsyncIterable<Uint8Array>>,
  ): Promise<void> {
    const temporary = path.join(this.#temporary, `${process.pid}-${randomBytes(8).toString('hex')}`);
    const root = path.join(temporary, 'diff');
    fs.mkdirSync(root, { recursive: true });
    fs.chmodSync(root, 0o755); // whatever the umask
    try {
      const compressed = new DigestMeter();
      const plain = new DigestMeter();
      const size = await extractLayer(root, plain.measure(decompress(compressed.measure(await open()))));
      if (blob && compressed.digest() !== blob.digest) throw digestMismatch('layer', blob.digest, compressed.digest());
      if (plain.digest() !== diffId) throw digestMismatch('unpacked layer', diffId, plain.digest());
      writeAtomic(path.join(temporary, 'layer.json'), JSON.stringify({ diffId, ...size }));
      fs.chmodSync(temporary, 0o755);
      this.#publish(temporary, diffId);
    } finally {
      fs.rmSync(temporary, { recursive: true, force: true });
    }
  }

  #publish(temporary: string, diffId: string): void {
    try {
      fs.renameSync(temporary, path.join(this.directory, this.#name(diffId)));
    } catch (error) {
      // Another runtime on this machine was faster.
      if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '') || !this.has(diffId))
        throw error;
    }
  }

  /** The diff ids of all unpacked layers. */
  list(): string[] {
    return listDirectory(this.directory).flatMap(name => {
      const info = readJson(path.join(this.directory, name, 'layer.json')) as { diffId?: string } | undefined;
      return info?.diffId ? [info.diffId] : [];
    });
  }

  /** Takes a layer away at once: `restore` brings it back, `discard` deletes its files. */
  retire(diffId: string): { restore: () => void; discard: () => Promise<void> } {
    const place = path.join(this.directory, this.#name(diffId));
    const trash = path.join(this.#temporary, `trash-${process.pid}-${randomBytes(8).toString('hex')}`);
    fs.renameSync(place, trash);
    return {
      restore: () => fs.renameSync(trash, place),
      discard: () => fs.promises.rm(trash, { recursive: true, force: true }),
    };
  }

  /** Removes what processes that no longer run have left behind; pids say nothing across the nodes of a machine, age does. */
  cleanTemporary(): void {
    for (const name of listDirectory(this.#temporary)) {
      const place = path.join(this.#temporary, name);
      const modified = fs.statSync(place, { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (Date.now() - modified > abandonedAfterMs) fs.rmSync(place, { recursive: true, force: true });
    }
  }
}
