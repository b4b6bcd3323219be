import type { Labels } from '../label-selector';

export type Operator = 'In' | 'NotIn' | 'Exists' | 'DoesNotExist' | 'Gt' | 'Lt';

export interface Requirement {
  key: string;
  operator: Operator;
  values: readonly string[];
}

/** A parsed selector. All requirements must hold. */
export interface Selector {
  readonly requirements: readonly Requirement[];
  /** True when it has no requirement and so selects everything. */
  readonly empty: boolean;
  matches(labels: Labels): boolean;
  /** Canonical form: keys sorted, "a in (x,y),b=z,!c". */
  toString(): string;
}

type Matcher = (labels: NonNullable<Labels>) => boolean;

const noLabels: NonNullable<Labels> = {};

/** The own labels called like a property of every object ("constructor"), which plain indexing would find anyway. */
function guarded(key: string, matches: Matcher): Matcher {
  if (!(key in Object.prototype)) return matches;
  return labels => matches(Object.hasOwn(labels, key) ? { [key]: labels[key] } : Object.create(null));
}

function compile({ key, operator, values }: Requirement): Matcher {
  const only = values[0] ?? '';
  switch (operator) {
    case 'In':
      if (values.length === 1) return labels => labels[key] === only;
      return labels => labels[key] !== undefined && values.includes(labels[key]);
    case 'NotIn':
      return labels => labels[key] === undefined || !values.includes(labels[key]);
    case 'Exists':
      return labels => labels[key] !== undefined;
    case 'DoesNotExist':
      return labels => labels[key] === undefined;
    case 'Gt':
      return labels => isInteger(labels[key]) && BigInt(labels[key] ?? '') > BigInt(only);
    case 'Lt':
      return labels => isInteger(labels[key]) && BigInt(labels[key] ?? '') < BigInt(only);
  }
}

export function isInteger(text: string | undefined): boolean {
  return text !== undefined && /^-?\d{1,19}$/.test(text);
}

/** Compiles requirements once, to be matched many times. */
export function selectorOf(requirements: readonly Requirement[]): Selector {
  const matchers = requirements.map(r => guarded(r.key, compile(r)));
  const first = matchers[0];
  return {
    requirements,
    empty: matchers.length === 0,
    matches:
      matchers.length === 1 && first
        ? labels => first(labels ?? noLabels)
        : labels => matchers.every(matches => matches(labels ?? noLabels)),
    toString: () =>
      [...requirements]
        .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
        .map(describe)
        .join(','),
  };
}

/** Selects nothing: an absent LabelSelector. */
export const nothing: Selector = { requirements: [], empty: false, matches: () => false, toString: () => '' };

function describe({ key, operator, values }: Requirement): string {
  const sorted = [...values].sort();
  switch (operator) {
    case 'In':
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${sorted.join(',')})`;
    case 'NotIn':
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${sorted.join(',')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
    case 'Gt':
      return `${key}>${values[0]}`;
    case 'Lt':
      return `${key}<${values[0]}`;
  }
}
