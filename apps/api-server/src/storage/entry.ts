import type { Labels } from '@naru/api';

/** One object in the watch cache: its bytes as clients get them and what selectors ask about. Immutable. */
export interface Entry {
  /** NAMESPACE/NAME, or NAME where there are no namespaces: the order of lists. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly revision: number;
  readonly bytes: Buffer;
  readonly labels: Labels | undefined;
  readonly fields: Readonly<Record<string, string>>;
}

export function entryKey(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}/${name}`;
}
