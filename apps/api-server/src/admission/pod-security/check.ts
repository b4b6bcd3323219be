import type { Container, Pod, PodSpec } from '@naru/api';

export type Metadata = Pod['metadata'];

/** What is against a level, or nothing. `spec` is a pod's or that of a template. */
export interface Check {
  /** By which upstream orders its complaints. */
  id: string;
  run(spec: PodSpec, metadata: Metadata): Complaint | undefined;
}

export interface Complaint {
  reason: string;
  detail: string;
}

export type SecurityContext = NonNullable<Container['securityContext']>;

export function containersOf(spec: PodSpec): Container[] {
  const { initContainers, containers, ephemeralContainers } = spec;
  return [...(initContainers ?? []), ...(containers ?? []), ...((ephemeralContainers ?? []) as Container[])];
}

/** `"a", "b"` */
export function quoted(values: Iterable<string>): string {
  return [...values].map(value => JSON.stringify(value)).join(', ');
}

export function plural(one: string, count: number, many = `${one}s`): string {
  return count === 1 ? one : many;
}

/** `containers "a", "b"` */
export function named(what: string, names: readonly string[]): string {
  return `${plural(what, names.length)} ${quoted(names)}`;
}

/** The names of the containers for which `wrong` holds. */
export function wrongContainers(spec: PodSpec, wrong: (container: Container) => boolean): string[] {
  return containersOf(spec)
    .filter(wrong)
    .map(({ name }) => name ?? '');
}

/**
 * Those who set a field of the security context to what is forbidden, `pod and container "a"`, with the values; undefined
 * when nobody does.
 */
export function setters<T extends string>(
  spec: PodSpec,
  read: (context: SecurityContext) => T | undefined,
  isForbidden: (value: T) => boolean,
): { who: string; values: T[] } | undefined {
  const values = new Set<T>();
  const isWrong = (context: object | undefined): boolean => {
    const value = context && read(context);
    if (value === undefined || value === null || !isForbidden(value)) return false;
    values.add(value);
    return true;
  };
  const who = isWrong(spec.securityContext) ? ['pod'] : [];
  const names = wrongContainers(spec, ({ securityContext }) => isWrong(securityContext));
  if (names.length > 0) who.push(named('container', names));
  return who.length === 0 ? undefined : { who: who.join(' and '), values: [...values].sort() };
}
