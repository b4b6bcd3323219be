import { kubernetesVersion } from '@naru/foundation';

/** Set by the build, empty where that knew of no commit. */
declare const NARU_SOURCE: { commit: string; date: string; changed: boolean } | undefined;
const source = typeof NARU_SOURCE === 'undefined' ? { commit: '', date: '', changed: false } : NARU_SOURCE;
const treeState = source.changed ? 'dirty' : 'clean';

export const gitVersion = kubernetesVersion;

/** The answer of /version. */
export const versionInfo = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion,
  gitCommit: source.commit,
  gitTreeState: source.commit ? treeState : 'archive',
  buildDate: source.date || '1970-01-01T00:00:00Z',
  goVersion: `node ${process.version}`,
  compiler: 'v8',
  platform: `linux/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};
