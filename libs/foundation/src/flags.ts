import { parseArgs } from 'node:util';

/** One command line flag. The kind of `default` is the kind of the value; `required` flags have none. */
export interface FlagSpec {
  description: string;
  type: 'string' | 'number' | 'boolean' | 'list';
  default?: string | number | boolean | string[];
  required?: boolean;
}

type FlagValue<S extends FlagSpec> = S['type'] extends 'number'
  ? number
  : S['type'] extends 'boolean'
    ? boolean
    : S['type'] extends 'list'
      ? string[]
      : string;

type HasValue<S extends FlagSpec> = S['default'] extends {} ? true : S['required'] extends true ? true : false;

/** Flags with a default or `required` always have a value; the others may be undefined. */
export type Flags<T extends Record<string, FlagSpec>> = {
  [K in keyof T]: HasValue<T[K]> extends true ? FlagValue<T[K]> : FlagValue<T[K]> | undefined;
};

/** A mistake on the command line; the process prints the message and exits with 2. */
export class UsageError extends Error {}

function convert(name: string, spec: FlagSpec, raw: string | boolean | string[]): unknown {
  const text = Array.isArray(raw) ? raw.join(',') : String(raw);
  switch (spec.type) {
    case 'number': {
      const value = Number(text);
      if (text === '' || !Number.isFinite(value)) throw new UsageError(`flag --${name}: "${text}" is not a number`);
      return value;
    }
    case 'boolean':
      if (text !== 'true' && text !== 'false')
        throw new UsageError(`flag --${name}: "${text}" is neither true nor false`);
      return text === 'true';
    case 'list':
      return text === '' ? [] : text.split(',').map(part => part.trim());
    default:
      return text;
  }
}

/**
 * Parses upstream-style flags: `--name=value` or `--name value`; booleans may stand alone; lists are comma separated
 * and may repeat. Throws UsageError, naming the flag, for unknown flags and values of the wrong kind.
 */
export function parseFlags<const T extends Record<string, FlagSpec>>(specs: T, argv: string[]): Flags<T> {
  // A boolean flag takes an optional value, which parseArgs cannot say: give bare ones theirs.
  const args = argv.map(arg => (specs[arg.slice(2)]?.type === 'boolean' && arg.startsWith('--') ? `${arg}=true` : arg));
  let parsed: Record<string, unknown>;
  try {
    const options = Object.fromEntries(
      Object.entries(specs).map(([name, spec]) => [name, { type: 'string' as const, multiple: spec.type === 'list' }]),
    );
    parsed = parseArgs({ args, options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw new UsageError((cause as Error).message, { cause });
  }
  const values: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(specs)) {
    const raw = parsed[name] as string | string[] | undefined;
    if (raw !== undefined) values[name] = convert(name, spec, raw);
    else if (spec.required) throw new UsageError(`flag --${name} is required: ${spec.description}`);
    else values[name] = spec.default;
  }
  return values as Flags<T>;
}

/** The text of `--help`. */
export function describeFlags(specs: Record<string, FlagSpec>): string {
  const rows = Object.entries(specs).map(([name, spec]) => {
    const fallback = spec.default === undefined || spec.default === '' ? '' : ` (default ${String(spec.default)})`;
    return `  --${name.padEnd(34)} ${spec.description}${spec.required ? ' (required)' : fallback}`;
  });
  return rows.join('\n');
}
