import { createHash } from 'node:crypto';
import { StatusError } from '@naru/foundation';

/** `sha256:HEX` of some content. */
export function sha256(content: string | Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** Counts and hashes a stream that passes through. */
export class DigestMeter {
  readonly #hash = createHash('sha256');
  #digest: string | undefined;
  bytes = 0;

  async *measure(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      this.#hash.update(chunk);
      this.bytes += chunk.length;
      yield chunk;
    }
  }

  /** Of what has passed; when it is first asked for, all must have. */
  digest(): string {
    return (this.#digest ??= `sha256:${this.#hash.digest('hex')}`);
  }
}

/** The content is not what its name says. */
export function digestMismatch(what: string, wanted: string, got: string): StatusError {
  return new StatusError('BadRequest', `${what}: unexpected content digest ${got}, expected ${wanted}`);
}
