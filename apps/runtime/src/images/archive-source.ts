import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { StatusError } from '@naru/foundation';
import { extract } from 'tar-stream';
import { decompress } from './decompress';

/** The files of an image archive, by name, in any order. */
export interface ArchiveSource {
  has(name: string): boolean;
  open(name: string): AsyncIterable<Uint8Array>;
  close(): void;
}

const textLimitBytes = 8 << 20;

/** A small file of the archive as text. Throws NotFound when it is absent. */
export async function readText(source: ArchiveSource, name: string): Promise<string> {
  if (!source.has(name)) throw new StatusError('NotFound', `the archive has no file "${name}"`);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source.open(name)) {
    size += chunk.length;
    if (size > textLimitBytes)
      throw new StatusError('RequestEntityTooLarge', `the archive's file "${name}" is too large`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function directorySource(directory: string): ArchiveSource {
  const place = (name: string): string => {
    const target = path.join(directory, name);
    if (!target.startsWith(`${path.resolve(directory)}/`))
      throw new StatusError('BadRequest', `the name "${name}" leads out of the layout`);
    return target;
  };
  return {
    has: name => fs.statSync(place(name), { throwIfNoEntry: false })?.isFile() === true,
    open: name => fs.createReadStream(place(name)),
    close: () => undefined,
  };
}

async function isCompressed(file: string): Promise<boolean> {
  const handle = await fs.promises.open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    return bytesRead === 4 && ((buffer[0] === 0x1f && buffer[1] === 0x8b) || buffer.readUInt32LE(0) === 0xfd2fb528);
  } finally {
    await handle.close();
  }
}

/** Where each file of a tar lies; `docker save` writes a layer that two images share once, and links from the other places. */
async function indexTar(file: string): Promise<Map<string, { offset: number; size: number }>> {
  const places = new Map<string, { offset: number; size: number }>();
  const links: [string, string][] = [];
  const parser = extract();
  const fed = pipeline(fs.createReadStream(file, { highWaterMark: 1 << 20 }), parser);
  fed.catch(() => undefined); // the loop below throws it
  for await (const entry of parser) {
    const name = path.posix.normalize(entry.header.name);
    // `offset` is that of the header, one block before the content.
    if (entry.header.type === 'file') places.set(name, { offset: entry.offset + 512, size: entry.header.size });
    if (entry.header.type === 'link') links.push([name, path.posix.normalize(entry.header.linkname)]);
    if (entry.header.type === 'symlink')
      links.push([name, path.posix.join(path.posix.dirname(name), entry.header.linkname)]);
    entry.resume();
  }
  for (const [name, target] of links) {
    const place = places.get(target);
    if (place) places.set(name, place);
  }
  return places;
}

/** Opens a tar (also compressed) or a directory. `temporary` takes the plain tar of a compressed one. */
export async function openArchive(file: string, temporary: string): Promise<ArchiveSource> {
  const stat = fs.statSync(file, { throwIfNoEntry: false });
  if (!stat) throw new StatusError('NotFound', `no such file or directory: ${file}`);
  if (stat.isDirectory()) return directorySource(file);
  let plain = file;
  if (await isCompressed(file)) {
    plain = path.join(temporary, `load-${randomBytes(8).toString('hex')}.tar`);
    await pipeline(Readable.from(decompress(fs.createReadStream(file))), fs.createWriteStream(plain, { mode: 0o600 }));
  }
  const close = (): void => {
    if (plain !== file) fs.rmSync(plain, { force: true });
  };
  try {
    const places = await indexTar(plain);
    return {
      has: name => places.has(path.posix.normalize(name)),
      open(name) {
        const place = places.get(path.posix.normalize(name));
        if (!place) throw new StatusError('NotFound', `the archive has no file "${name}"`);
        if (place.size === 0) return Readable.from([]);
        return fs.createReadStream(plain, {
          start: place.offset,
          end: place.offset + place.size - 1,
          highWaterMark: 256 << 10,
        });
      },
      close,
    };
  } catch (cause) {
    close();
    throw new StatusError('BadRequest', `cannot read the archive ${file}: ${(cause as Error).message}`, { cause });
  }
}
