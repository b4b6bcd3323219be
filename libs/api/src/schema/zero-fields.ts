import type { TypeSchema } from './types';

const zeros: Record<string, unknown> = { b: false, i: 0, l: 0, d: 0, s: '' };

/** What upstream shows of an object that says nothing: the scalars that it always shows, as nought. */
export function zeroFields(schema: TypeSchema | undefined): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  for (const { name, required, value } of schema?.fields.values() ?? [])
    if (required && value.code in zeros) object[name] = zeros[value.code];
  return object;
}
