import type { Environment } from '@marcbachmann/cel-js';
import { checked } from './checked';

/** A version of semver.org, 2.0.0. */
class Semver {
  constructor(
    readonly numbers: readonly [bigint, bigint, bigint],
    readonly prerelease: readonly string[],
  ) {}
}

const number = '(0|[1-9]\\d*)';
const pattern = new RegExp(`^${number}\\.${number}\\.${number}(?:-([0-9A-Za-z.-]+))?(?:\\+[0-9A-Za-z.-]+)?$`);

/** "v1.2" as 1.2.0: what people write. */
function normalized(text: string): string {
  const [, core = '', rest = ''] = /^v?([\d.]*)(.*)$/.exec(text) ?? [];
  const parts = core.split('.').map(part => part.replace(/^0+(?=\d)/, ''));
  while (parts.length < 3) parts.push('0');
  return parts.join('.') + rest;
}

/** @throws Error for what is no version */
export function parseSemver(text: string, normalize = false): Semver {
  const found = pattern.exec(normalize ? normalized(text) : text);
  return checked(
    found !== null,
    () => {
      const [, major, minor, patch, prerelease] = found!;
      return new Semver([BigInt(major!), BigInt(minor!), BigInt(patch!)], prerelease?.split('.') ?? []);
    },
    `semver parse error: ${JSON.stringify(text)} is not a version`,
  );
}

function isVersion(text: string, normalize = false): boolean {
  return pattern.test(normalize ? normalized(text) : text);
}

function compare(a: Semver, b: Semver): bigint {
  for (const [i, value] of a.numbers.entries()) if (value !== b.numbers[i]) return value < b.numbers[i]! ? -1n : 1n;
  const [left, right] = [a.prerelease, b.prerelease];
  if (left.length === 0 || right.length === 0) return BigInt(Math.sign(right.length - left.length));
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = comparePart(left[i]!, right[i]!);
    if (order !== 0n) return order;
  }
  return BigInt(Math.sign(left.length - right.length));
}

/** Numbers come before words, and count as numbers. */
function comparePart(a: string, b: string): bigint {
  const [aNumber, bNumber] = [/^\d+$/.test(a), /^\d+$/.test(b)];
  if (aNumber !== bNumber) return aNumber ? -1n : 1n;
  if (aNumber) return BigInt(Math.sign(Number(a) - Number(b)));
  return a === b ? 0n : a < b ? -1n : 1n;
}

/** The type and functions of upstream's semver library. */
export function registerSemver(env: Environment): void {
  const type = 'kubernetes.Semver';
  env
    .registerType(type, Semver)
    .registerFunction('isSemver(string): bool', (text: string) => isVersion(text))
    .registerFunction('isSemver(string, bool): bool', isVersion)
    .registerFunction(`semver(string): ${type}`, (text: string) => parseSemver(text))
    .registerFunction(`semver(string, bool): ${type}`, parseSemver)
    .registerFunction(`${type}.major(): int`, ({ numbers }: Semver) => numbers[0])
    .registerFunction(`${type}.minor(): int`, ({ numbers }: Semver) => numbers[1])
    .registerFunction(`${type}.patch(): int`, ({ numbers }: Semver) => numbers[2])
    .registerFunction(`${type}.isLessThan(${type}): bool`, (a: Semver, b: Semver) => compare(a, b) < 0n)
    .registerFunction(`${type}.isGreaterThan(${type}): bool`, (a: Semver, b: Semver) => compare(a, b) > 0n)
    .registerFunction(`${type}.compareTo(${type}): int`, compare);
}
