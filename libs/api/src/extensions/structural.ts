import type { JsonSchema, ValidationRule } from './types';

/** A structural schema made ready: lookups are maps, patterns are compiled. Trees are finite: there is no $ref. */
export interface Structural {
  readonly schema: JsonSchema;
  /** As the value validation compares them; empty: any. */
  readonly types: readonly string[];
  readonly properties: ReadonlyMap<string, Structural>;
  /** True: any value is kept. */
  readonly additional: Structural | true | undefined;
  readonly items: Structural | undefined;
  readonly preserve: boolean;
  readonly embedded: boolean;
  readonly pattern: RegExp | undefined;
  /** Matching may take exponential time. */
  readonly slowPattern: boolean;
  readonly allOf: readonly Structural[];
  readonly anyOf: readonly Structural[];
  readonly oneOf: readonly Structural[];
  readonly not: Structural | undefined;
  readonly rules: readonly ValidationRule[];
  /** Somewhere below is what the walk is for: otherwise it need not go there. */
  readonly hasDefaults: boolean;
  readonly hasRules: boolean;
  readonly hasListTypes: boolean;
  readonly hasEmbedded: boolean;
}

const none: readonly Structural[] = [];
const noProperties: ReadonlyMap<string, Structural> = new Map();

export function compileStructural(schema: JsonSchema): Structural {
  const properties =
    schema.properties === undefined
      ? noProperties
      : new Map(Object.entries(schema.properties).map(([key, child]) => [key, compileStructural(child)]));
  const { additionalProperties: extra } = schema;
  const additional = typeof extra === 'object' ? compileStructural(extra) : extra === true ? true : undefined;
  const items = schema.items ? compileStructural(schema.items) : undefined;
  const children = [...properties.values()];
  if (additional !== undefined && additional !== true) children.push(additional);
  if (items) children.push(items);
  const rules = schema['x-kubernetes-validations'] ?? [];
  const listType = schema['x-kubernetes-list-type'];
  const embedded = schema['x-kubernetes-embedded-resource'] === true;
  const allOf = schema.allOf?.map(compileStructural) ?? none;
  return {
    schema,
    types: schema['x-kubernetes-int-or-string'] ? ['integer', 'string'] : schema.type ? [schema.type] : [],
    properties,
    additional,
    items,
    preserve: schema['x-kubernetes-preserve-unknown-fields'] === true,
    embedded,
    pattern: schema.pattern ? compilePattern(schema.pattern) : undefined,
    slowPattern: schema.pattern !== undefined && countedTwice.test(schema.pattern),
    allOf,
    anyOf: schema.anyOf?.map(compileStructural) ?? none,
    oneOf: schema.oneOf?.map(compileStructural) ?? none,
    not: schema.not ? compileStructural(schema.not) : undefined,
    rules,
    hasDefaults: schema.default !== undefined || children.some(c => c.hasDefaults),
    hasRules: rules.length > 0 || children.some(c => c.hasRules) || allOf.some(c => c.hasRules),
    hasListTypes: listType === 'set' || listType === 'map' || children.some(c => c.hasListTypes),
    hasEmbedded: embedded || children.some(c => c.hasEmbedded),
  };
}

/** Counted repetitions inside of repetitions, which V8's linear engine does not take over. */
const countedTwice = /\{\d+(?:,\d*)?\}[^)]*\)[*+{]|[*+][^)]*\)\{\d/;

const maxPatternLength = 10_000;
export const maxPatternDepth = 250;

/** What Go's RE2 refuses, and what would also keep V8 from falling back to its linear engine. */
const unsupported = /\(\?(?:[=!]|<[=!])|\\[1-9]|\\k</;

/**
 * A Go regular expression as one of JavaScript.
 * @throws Error where Go would not compile it
 */
export function compilePattern(pattern: string): RegExp {
  // V8 ends the process over patterns that are too much for its stack: it must not get to see them.
  if (pattern.length > maxPatternLength) throw new Error('error parsing regexp: expression too large');
  if (nesting(pattern) > maxPatternDepth) throw new Error('error parsing regexp: expression nests too deeply');
  const found = unsupported.exec(pattern.replace(/\\\\/g, ''));
  if (found) throw new Error(`error parsing regexp: invalid or unsupported Perl syntax: \`${found[0]}\``);
  const { flags, rest } = leadingFlags(pattern);
  const translated = rest
    .replace(/\(\?P</g, '(?<')
    .replace(/\\A/g, '^')
    .replace(/\\z/g, '$')
    .replace(/\[\[:(\w+):\]\]/g, (_, name: string) => `[${posix[name] ?? ''}]`)
    .replace(/\[:(\w+):\]/g, (_, name: string) => posix[name] ?? '');
  try {
    const compiled = new RegExp(translated, /\\[pP]/.test(translated) ? `${flags}u` : flags);
    // Only its first use tells whether it is small enough.
    compiled.test('');
    return compiled;
  } catch (cause) {
    throw new Error(`error parsing regexp: ${(cause as Error).message}`, { cause });
  }
}

/** How deep the groups of a pattern are, or more. */
export function nesting(pattern: string): number {
  let depth = 0;
  let deepest = 0;
  for (const character of pattern) {
    if (character === '(') deepest = Math.max(deepest, ++depth);
    else if (character === ')') depth--;
  }
  return deepest;
}

function leadingFlags(pattern: string): { flags: string; rest: string } {
  const match = /^\(\?([ims]+)\)/.exec(pattern);
  return match
    ? { flags: [...new Set(match[1])].join(''), rest: pattern.slice(match[0].length) }
    : { flags: '', rest: pattern };
}

const posix: Record<string, string> = {
  alnum: 'a-zA-Z0-9',
  alpha: 'a-zA-Z',
  digit: '0-9',
  lower: 'a-z',
  upper: 'A-Z',
  space: '\\s',
  punct: '!-\\/:-@\\[-`{-~',
  word: '\\w',
  xdigit: '0-9a-fA-F',
};
