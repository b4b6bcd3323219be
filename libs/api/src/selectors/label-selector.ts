import type { Labels } from '../label-selector';
import type { LabelSelector } from '../types';

export type Operator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';
export interface Requirement {
  key: string;
  operator: Operator;
  values: readonly string[];
}

/** A parsed selector. All requirements must hold. */
export interface Selector {
  readonly requirements: readonly Requirement[];
  /** True when it has no requirement. */
  readonly empty: boolean;
  matches(labels: Labels): boolean;
  /** Canonical form: keys sorted, "a in (x,y),b=z,!c". */
  toString(): string;
}

/** Parses `app=web,tier in (a,b),!gone,x!=y`. @throws StatusError BadRequest "unable to parse requirement: ...". */
export function parseLabelSelector(_text: string): Selector {
  throw new Error('not there yet');
}

/** A LabelSelector object: absent (null) selects nothing, {} everything. @throws StatusError BadRequest */
export function labelSelectorOf(_selector: LabelSelector | undefined | null): Selector {
  throw new Error('not there yet');
}

/** A plain map (Service or ReplicationController selector, nodeSelector): all must be equal. {} matches everything. */
export function selectorFromMap(_map: NonNullable<Labels>): Selector {
  throw new Error('not there yet');
}
