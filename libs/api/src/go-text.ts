/** A JSON value as Go prints it with `%v`: `map[a:1 b:[x y]]`. Upstream's messages show values so. */
export function goText(value: unknown): string {
  if (value === null || value === undefined) return '<nil>';
  if (Array.isArray(value)) return `[${value.map(goText).join(' ')}]`;
  if (typeof value !== 'object') return String(value);
  return `map[${sortedEntries(value)
    .map(([key, item]) => `${key}:${goText(item)}`)
    .join(' ')}]`;
}

/** The same with `%#v`: `map[string]interface {}{"a":1}`. */
export function goSyntax(value: unknown): string {
  if (value === null || value === undefined) return 'interface {}(nil)';
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(', ')}}`;
  if (typeof value !== 'object') return JSON.stringify(value);
  return `map[string]interface {}{${sortedEntries(value)
    .map(([key, item]) => `${JSON.stringify(key)}:${goSyntax(item)}`)
    .join(', ')}}`;
}

/** What kind of value Go makes of it, as reflection calls that. */
export function goKind(value: unknown): string {
  if (Array.isArray(value)) return 'slice';
  if (typeof value === 'number') return Number.isInteger(value) ? 'int64' : 'float64';
  if (typeof value === 'boolean') return 'bool';
  return typeof value === 'object' ? 'map' : typeof value;
}

function sortedEntries(value: object): [string, unknown][] {
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}
