import fs from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pack, type Header, type Pack } from 'tar-stream';
import { runCommand } from '../process/run-command';

/**
 * What Node cannot create itself (device nodes, FIFOs, extended attributes, and the marks of deleted files that overlayfs reads)
 * collects in a small tar, which GNU tar then unpacks over the layer in one go.
 */
export class SpecialEntries {
  readonly #pack: Pack = pack();
  readonly #written: Promise<void>;
  readonly #file: string;
  readonly #names: string[] = [];

  constructor(readonly root: string) {
    this.#file = `${root}.special.tar`;
    // Opened at once, so that abort() finds the file there is.
    const fd = fs.openSync(this.#file, 'w', 0o600);
    this.#written = pipeline(Readable.from(this.#pack), fs.createWriteStream(this.#file, { fd }));
    this.#written.catch(() => undefined); // finish() reports it
  }

  /** What has collected so far. */
  names(): readonly string[] {
    return this.#names;
  }

  /** A device node or FIFO. */
  addNode(header: Header, name: string): void {
    const { type, mode, uid, gid, mtime, devmajor, devminor } = header;
    this.#add({ name, type, mode, uid, gid, mtime, devmajor, devminor, pax: attributes(header) });
  }

  /** Overlayfs: a character device 0/0 hides the file of that name in the layers below. */
  addWhiteout(name: string): void {
    this.#add({
      name,
      type: 'character-device',
      mode: 0,
      uid: 0,
      gid: 0,
      mtime: new Date(0),
      devmajor: 0,
      devminor: 0,
    });
  }

  /** Overlayfs: this attribute hides all that the layers below have in the directory. */
  addOpaque(name: string): void {
    this.#add({ name, type: 'directory', mode: 0o755, pax: { 'SCHILY.xattr.trusted.overlay.opaque': 'y' } });
  }

  /** A regular file with extended attributes, such as file capabilities; its content comes in `content`. */
  async addFile(header: Header, name: string, content: AsyncIterable<Buffer>): Promise<void> {
    const { mode, uid, gid, mtime, size } = header;
    this.#names.push(name);
    const entry = this.#pack.entry({ name, type: 'file', mode, uid, gid, mtime, size, pax: attributes(header) });
    for await (const chunk of content) {
      if (!entry.write(chunk)) await new Promise<void>(resolve => entry.once('drain', () => resolve()));
    }
    entry.end(null);
  }

  #add(header: Partial<Header> & { name: string }): void {
    this.#names.push(header.name);
    this.#pack.entry(header);
  }

  /** Unpacks what has collected. */
  async finish(): Promise<void> {
    this.#pack.finalize();
    try {
      await this.#written;
      if (this.#names.length === 0) return;
      const flags = ['--xattrs', '--xattrs-include=*', '--numeric-owner', '--no-overwrite-dir', '-p', '-x'];
      await runCommand('tar', [...flags, '-f', path.basename(this.#file), '-C', this.root], {
        cwd: path.dirname(this.#file),
        timeoutMs: 600_000,
      });
    } finally {
      fs.rmSync(this.#file, { force: true });
    }
  }

  /** Gives up. */
  abort(): void {
    this.#pack.destroy();
    fs.rmSync(this.#file, { force: true });
  }
}

const attributePrefix = 'SCHILY.xattr.';

/**
 * The extended attributes of an entry that a layer may set: overlayfs's own ones are not for images to choose, and a value that is
 * no valid text has been damaged in parsing.
 */
export function attributes(header: Header): Record<string, string> {
  return Object.fromEntries(
    Object.entries((header.pax ?? {}) as Record<string, string>).filter(
      ([key, value]) =>
        key.startsWith(attributePrefix) && !key.startsWith(`${attributePrefix}trusted.`) && !value.includes('\uFFFD'),
    ),
  );
}
