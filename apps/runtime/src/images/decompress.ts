import { createGunzip } from 'node:zlib';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream';

/** Each chunk is a task for another thread, whose waking takes longer than the work if it is small; larger ones have memory mapped for each. */
const inflatedChunkBytes = 60 * 1024;
const zstdChunkBytes = 64 * 1024;

async function* unzstd(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const { Decompress } = await import('fzstd'); // loaded only where a layer needs it
  const ready: Uint8Array[] = [];
  const decompress = new Decompress(chunk => void ready.push(chunk));
  for await (const chunk of source) {
    // Small steps: one push may inflate to many times its size.
    for (let at = 0; at < chunk.length; at += zstdChunkBytes) {
      decompress.push(chunk.subarray(at, at + zstdChunkBytes));
      yield* ready.splice(0);
    }
  }
  decompress.push(new Uint8Array(0), true);
  yield* ready.splice(0);
}

function throughStream(source: AsyncIterable<Uint8Array>, transform: Transform): AsyncIterable<Uint8Array> {
  return pipeline(Readable.from(source, { objectMode: false }), transform, () => undefined);
}

async function* prepend(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value;
}

/** Decompresses gzip and zstd, and passes on what is neither. The content decides: media types of layers are often wrong. */
export async function* decompress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < 4) {
    const next = await iterator.next();
    if (next.done) break;
    head = Buffer.concat([head, next.value]);
  }
  const all = prepend(head, iterator);
  if (head[0] === 0x1f && head[1] === 0x8b) yield* throughStream(all, createGunzip({ chunkSize: inflatedChunkBytes }));
  else if (head.length >= 4 && head.readUInt32LE(0) === 0xfd2fb528) yield* unzstd(all);
  else yield* all;
}
