import { createHash } from 'node:crypto';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** The first `length` characters (5 bits each) of the SHA-256 of `text` in base 32, as upstream names its chains. */
export function shortHash(text: string, length: number): string {
  const digest = createHash('sha256').update(text).digest();
  let bits = 0;
  let value = 0;
  let hash = '';
  for (const byte of digest) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5 && hash.length < length) {
      hash += alphabet[(value >>> (bits - 5)) & 31];
      bits -= 5;
    }
    value &= 255;
  }
  return hash;
}
