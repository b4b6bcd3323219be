import { invalid, type FieldError, type PodSpec } from '@naru/api';
import { baselineChecks } from './baseline';
import type { Check, Metadata } from './check';
import { restrictedChecks } from './restricted';

export const levels = ['privileged', 'baseline', 'restricted'] as const;
export type Level = (typeof levels)[number];
export const modes = ['enforce', 'audit', 'warn'] as const;
export type Mode = (typeof modes)[number];

/** A level, and the version of Kubernetes that defines it: "latest" or "v1.30". */
export interface LevelVersion {
  level: Level;
  version: string;
}

const prefix = 'pod-security.kubernetes.io/';
const versionPattern = /^(latest|v1\.(0|[1-9]\d*))$/;

/** The stricter level says the same better. */
const overridden = new Set(['capabilities_baseline', 'hostPathVolumes', 'seccompProfile_baseline']);
const checksOf: Record<Level, readonly Check[]> = {
  privileged: [],
  baseline: baselineChecks,
  restricted: [...baselineChecks.filter(({ id }) => !overridden.has(id)), ...restrictedChecks],
};

type Labels = Readonly<Record<string, string | undefined>> | undefined;

/** What a namespace wants. A level that does not exist is the strictest, as upstream. */
export function wantedLevel(labels: Labels, mode: Mode): LevelVersion {
  const level = labels?.[prefix + mode];
  const version = labels?.[`${prefix}${mode}-version`];
  return {
    level: level === undefined ? 'privileged' : isLevel(level) ? level : 'restricted',
    version: version !== undefined && versionPattern.test(version) ? version : 'latest',
  };
}

function isLevel(text: string): text is Level {
  return (levels as readonly string[]).includes(text);
}

export function labelProblems(labels: Labels): FieldError[] {
  return modes.flatMap(mode => {
    const errors: FieldError[] = [];
    const level = labels?.[prefix + mode];
    const version = labels?.[`${prefix}${mode}-version`];
    if (level !== undefined && !isLevel(level))
      errors.push(invalid(`metadata.labels[${prefix}${mode}]`, level, `must be one of ${levels.join(', ')}`));
    if (version !== undefined && !versionPattern.test(version))
      errors.push(invalid(`metadata.labels[${prefix}${mode}-version]`, version, 'must be "latest" or "v1.x"'));
    return errors;
  });
}

export interface Violations {
  reasons: string[];
  /** `privileged (container "a" must not set securityContext.privileged=true), ...` */
  text: string;
}

export function violations({ level }: LevelVersion, spec: PodSpec, metadata: Metadata): Violations | undefined {
  const complaints = checksOf[level].flatMap(check => check.run(spec, metadata) ?? []);
  if (complaints.length === 0) return undefined;
  return {
    reasons: complaints.map(({ reason }) => reason),
    text: complaints.map(({ reason, detail }) => `${reason} (${detail})`).join(', '),
  };
}

export function isStricter(next: LevelVersion, old: LevelVersion): boolean {
  return levels.indexOf(next.level) > levels.indexOf(old.level);
}
