import zlib, { type Deflate, type Inflate } from 'node:zlib';
import dictionaries from 'spdy-transport/lib/spdy-transport/protocol/spdy/dictionary';

/** Larger blocks are not read: no client of ours sends a tenth of it. */
const maxBlockBytes = 8 << 10;

/** Writes to a compressor and takes all that comes out for it. */
function pass(through: Inflate | Deflate, input: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    through.once('error', reject);
    const taken = (): void => {
      through.off('error', reject);
      resolve((through.read() as Buffer | null) ?? Buffer.alloc(0));
    };
    through.write(input, error => {
      if (error) return reject(error);
      through.flush(zlib.constants.Z_SYNC_FLUSH, taken);
    });
  });
}

/**
 * The header blocks of one SPDY/3.1 connection. Compression goes on from block to block, so each must be read exactly once, in order.
 * Source: SPDY Protocol draft 3.1, 2.6.10 Name/Value Header Block.
 */
export class SpdyHeaders {
  readonly #inflate = zlib.createInflate({ dictionary: dictionaries[3] });
  readonly #deflate = zlib.createDeflate({ dictionary: dictionaries[3] });

  /** Names come in lower case. Throws when the block is damaged or too large. */
  async read(block: Buffer): Promise<Map<string, string>> {
    const data = await pass(this.#inflate, block);
    if (data.length >= maxBlockBytes) throw new Error('the header block is too large');
    const headers = new Map<string, string>();
    let at = 4;
    const next = (): string => {
      const length = data.readUInt32BE(at);
      if (at + 4 + length > data.length) throw new Error('the header block is damaged');
      const value = data.toString('utf8', at + 4, at + 4 + length);
      at += 4 + length;
      return value;
    };
    for (let count = data.readUInt32BE(0); count > 0; count--) {
      const name = next();
      headers.set(name.toLowerCase(), next());
    }
    return headers;
  }

  write(headers: ReadonlyMap<string, string>): Promise<Buffer> {
    const number = (value: number): Buffer => {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(value);
      return bytes;
    };
    const parts = [number(headers.size)];
    for (const text of [...headers].flat()) parts.push(number(Buffer.byteLength(text)), Buffer.from(text));
    return pass(this.#deflate, Buffer.concat(parts));
  }

  close(): void {
    this.#inflate.close();
    this.#deflate.close();
  }
}
