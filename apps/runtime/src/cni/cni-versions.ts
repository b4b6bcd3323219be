/** The newest version of the specification that the runtime speaks; older ones are understood as well. */
export const newestCniVersion = '1.1.0';

/** Less than zero when `a` is older than `b`. Throws for what is no version. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [numbers(a), numbers(b)];
  for (const [index, number] of left.entries()) {
    const difference = number - (right[index] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbers(version: string): number[] {
  const [, ...parts] = /^(\d+)\.(\d+)\.(\d+)$/.exec(version) ?? [];
  if (parts.length === 0) throw new Error(`"${version}" is no CNI version`);
  return parts.map(Number);
}

/** When a version brought what: SPEC.md of each version. */
export function knows(version: string, what: 'check' | 'status' | 'gc'): boolean {
  return compareVersions(version, what === 'check' ? '0.4.0' : '1.1.0') >= 0;
}

/**
 * The versions in which a configuration may be used, newest first. `cniVersions` lists them; `cniVersion` is one more. Versions newer than
 * ours are left out. Throws when none remains.
 */
export function usableVersions(cniVersion: unknown, cniVersions: unknown): string[] {
  if (cniVersions !== undefined && !Array.isArray(cniVersions)) throw new Error('cniVersions must be a list');
  const listed = [...((cniVersions as unknown[] | undefined) ?? []), ...(cniVersion === undefined ? [] : [cniVersion])];
  const given = new Set(listed.map(String));
  if (given.size === 0) return ['0.1.0'];
  const usable = [...given].filter(version => compareVersions(version, newestCniVersion) <= 0);
  if (usable.length === 0) {
    throw new Error(
      `it wants CNI version ${[...given].join(', ')}, and ${newestCniVersion} is the newest that is known`,
    );
  }
  return usable.sort((a, b) => compareVersions(b, a));
}
