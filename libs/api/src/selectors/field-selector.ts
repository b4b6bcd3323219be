import type { AnyDefinition } from '../scheme/definition';
import type { KubeObject } from '../types';

export interface FieldRequirement {
  field: string;
  operator: '=' | '!=';
  value: string;
}

export interface FieldSelector {
  readonly requirements: readonly FieldRequirement[];
  readonly empty: boolean;
  /** Over the fields that `definition.selectableFields` gives. */
  matchesFields(fields: Readonly<Record<string, string>>): boolean;
  matches(o: KubeObject): boolean;
  /** The value that `field` must equal, if the selector says so: to answer from an index or by a direct read. */
  requiresExactly(field: string): string | undefined;
  toString(): string;
}

/** Parses `spec.nodeName=a,status.phase!=Running`. @throws StatusError BadRequest for wrong syntax or a field that the kind does not support. */
export function parseFieldSelector(_text: string, _definition: AnyDefinition): FieldSelector {
  throw new Error('not there yet');
}
