import { randomInt } from 'node:crypto';

/** Without vowels and look-alikes, so that no bad words come up; upstream's rand.String. */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';
const suffixLength = 5;
const maxNameLength = 63;

/** `base` cut to fit, with five random characters: what `metadata.generateName` becomes. */
export function generateName(base: string): string {
  return base.slice(0, maxNameLength - suffixLength) + randomSuffix();
}

/** Five characters of upstream's alphabet. */
export function randomSuffix(length = suffixLength): string {
  let suffix = '';
  for (let i = 0; i < length; i++) suffix += alphabet[randomInt(alphabet.length)];
  return suffix;
}

const safe = (n: number | bigint): string =>
  [...String(n)].map(c => alphabet[c.charCodeAt(0) % alphabet.length]).join('');

/** Upstream's rand.SafeEncodeString of a number in decimal: for pod-template-hash and its kin. */
export const safeEncode = safe;
