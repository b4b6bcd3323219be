/** Equality of JSON values, whatever the order of keys; null is the same as absent, as the API treats it. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a === null || a === undefined) return b === null || b === undefined;
  if (typeof a !== 'object' || typeof b !== 'object' || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  if (Array.isArray(a) && a.length !== (b as unknown[]).length) return false;
  for (const key of new Set([...Object.keys(left), ...Object.keys(right)])) {
    if (!equalJson(left[key], right[key])) return false;
  }
  return true;
}
