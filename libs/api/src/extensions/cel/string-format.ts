import type { Environment } from '@marcbachmann/cel-js';

const clause = /%(?:%|(?:\.(\d+))?([sdfexXbo]))/g;

function show(value: unknown): string {
  if (value === null) return 'null';
  if (value instanceof Map) return `{${[...value].map(([key, each]) => `${show(key)}: ${show(each)}`).join(', ')}}`;
  if (Array.isArray(value) || value instanceof Set)
    return `[${[...(value as Iterable<unknown>)].map(show).join(', ')}]`;
  if (value instanceof Date) return value.toISOString().replace('.000Z', 'Z');
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  return String(value as string | number | bigint | boolean);
}

const radix: Record<string, number> = { x: 16, X: 16, b: 2, o: 8 };

function showAs(verb: string, precision: number, value: unknown): string {
  switch (verb) {
    case 's':
      return show(value);
    case 'f':
      return Number(value).toFixed(precision);
    case 'e':
      return Number(value)
        .toExponential(precision)
        .replace(/e([+-])(\d)$/, 'e$10$2');
    case 'd':
      if (typeof value !== 'bigint' && typeof value !== 'number')
        throw new Error('error during formatting: decimal clause can only be used on integers');
      return show(value);
    default: {
      if (typeof value === 'boolean') return value ? '1' : '0';
      const text =
        typeof value === 'bigint'
          ? value.toString(radix[verb])
          : Buffer.from(typeof value === 'string' ? value : (value as Uint8Array)).toString('hex');
      return verb === 'X' ? text.toUpperCase() : text;
    }
  }
}

/** `"%s has %d".format([a, b])` of CEL's strings extension. */
export function registerFormat(env: Environment): void {
  env.registerFunction('string.format(list<dyn>): string', (text: string, list: unknown[] | Set<unknown>) => {
    const values = [...list];
    let next = 0;
    const result = text.replace(clause, (whole, precision: string | undefined, verb: string | undefined) => {
      if (verb === undefined) return whole === '%%' ? '%' : whole;
      if (next >= values.length) throw new Error(`error during formatting: index ${next} out of range`);
      return showAs(verb, Number(precision ?? 6), values[next++]);
    });
    return result;
  });
}
