const claimPrefix = 'claim:';
const volumePrefix = 'volume:';

/** One queue holds claims and volumes, so that no two decisions about the same pair are taken at once. */
export function claimKey(key: string): string {
  return claimPrefix + key;
}

export function volumeKey(name: string): string {
  return volumePrefix + name;
}

export function parseBinderKey(key: string): { claim: string } | { volume: string } {
  return key.startsWith(claimPrefix)
    ? { claim: key.slice(claimPrefix.length) }
    : { volume: key.slice(volumePrefix.length) };
}
