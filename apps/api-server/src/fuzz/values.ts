import type { ValueSchema, TypeSchema } from '@naru/api';
import type { Random } from './random';

/** Names that objects of the fuzz share, so that requests meet each other's objects. */
export const names = ['a', 'b', 'web', 'kubernetes', 'default', 'kube-system', 'x-1', 'system:node:n'] as const;

const strings = [
  ...names,
  ...['', ' ', '0', '-1', '1', 'true', 'null', '*', '/', '..', '../..', 'A', 'a.b.c', 'a/b', 'a:b:c', 'http://a', '{}'],
  ...['10.96.0.1', '10.0.0.0/8', 'fe80::1', '::/0', 'None', '80', 'http', 'TCP', 'UDP', 'Always', 'Never', 'Exists'],
  ...['In', 'NotIn', 'Delete', 'Retain', 'RollingUpdate', 'Recreate', 'ClusterIP', 'NodePort', 'ExternalName'],
  ...['100m', '1Gi', '1e400', '-5', '50%', '1000%', '2024-01-01T00:00:00Z', '* * * * *', '@every 1s', 'v1', 'apps/v1'],
  ...['kubernetes.io/hostname', 'app.kubernetes.io/name=x', '\u0000', '\ud800', 'é', '💥', '__proto__', 'constructor'],
  ...['toString', 'hasOwnProperty', '[a-z', '^(a+)+$', 'self.x > 1', 'object.spec', '$(VAR)', '{.metadata.name}'],
] as const;
const numbers = [0, 1, -1, 2, 80, 443, 30_000, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, 2 ** 53, 1e300, -1e300, 0.5, 1e-9];
const maxDepth = 8;

/** Any JSON value, mostly a surprising one. */
export function surprise(random: Random, depth = 0): unknown {
  switch (random.below(depth > 3 ? 6 : 10)) {
    case 0:
      return null;
    case 1:
      return random.pick([true, false]);
    case 2:
      return random.pick(numbers);
    case 3:
      return random.text(40);
    case 4:
    case 5:
      return random.pick(strings);
    case 6:
      return Array.from({ length: random.below(4) }, () => surprise(random, depth + 1));
    case 7:
      return 'x'.repeat(random.pick([64, 254, 1000, 300_000]));
    case 8:
      return nest(random.pick([10, 150, 250, 5000]), random);
    default:
      return Object.fromEntries(
        Array.from({ length: random.below(4) }, () => [random.pick(strings), surprise(random, depth + 1)]),
      );
  }
}

/** Text for deep ones is made by hand: JSON.stringify itself cannot. */
function nest(depth: number, random: Random): unknown {
  let value: unknown = 1;
  const list = random.chance(0.5);
  for (let i = 0; i < depth; i++) value = list ? [value] : { a: value };
  return value;
}

/** An object of a type, with fields mostly of the right kind. */
export function typedObject(random: Random, type: TypeSchema, depth = 0): Record<string, unknown> {
  const object: Record<string, unknown> = {};
  const wanted = depth < 2 ? 0.6 : depth < 4 ? 0.35 : 0.15;
  for (const { name, required, value } of type.fields.values())
    if (required || random.chance(wanted)) object[name] = typedValue(random, value, depth);
  return object;
}

function typedValue(random: Random, { code, of, type }: ValueSchema, depth: number): unknown {
  if (random.chance(0.03)) return surprise(random);
  if (depth > maxDepth) return code === '[' ? [] : code === '{' || code === '#' ? {} : null;
  switch (code) {
    case 's':
      return random.pick(strings);
    case 'b':
      return random.chance(0.5);
    case 'i':
    case 'l':
      return random.pick(numbers.filter(Number.isInteger));
    case 'd':
      return random.pick(numbers);
    case 't':
    case 'u':
      return random.pick(['2024-01-01T00:00:00Z', '2024-01-01T00:00:00.000001Z', '', null, 'yesterday']);
    case 'y':
      return random.bytes(random.below(8)).toString('base64');
    case 'x':
      return random.pick<unknown>([1, 80, '50%', 'http', -1, 70_000]);
    case 'q':
      return random.pick<unknown>(['100m', '1Gi', 5, '', 'a', '-1', '1e3', '0.1']);
    case '#':
      return typedObject(random, type!, depth + 1);
    case '[':
      return Array.from({ length: random.below(3) }, () => typedValue(random, of!, depth + 1));
    case '{':
      return Object.fromEntries(
        Array.from({ length: random.below(3) }, () => [random.pick(strings), typedValue(random, of!, depth + 1)]),
      );
    case '*':
      return surprise(random);
  }
}

/** Changes one place of a JSON value, which it may reuse. */
export function mutate(random: Random, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || random.chance(0.08)) return surprise(random);
  const keys = Object.keys(value);
  const record = value as Record<string, unknown>;
  const key = keys.length > 0 ? random.pick(keys) : undefined;
  switch (random.below(6)) {
    case 0:
      if (key === undefined) break;
      if (Array.isArray(value)) value.splice(Number(key), 1);
      else delete record[key];
      return value;
    case 1:
      if (Array.isArray(value)) value.push(key === undefined ? surprise(random) : value[Number(key)]);
      else record[random.pick(strings)] = surprise(random);
      return value;
  }
  if (key === undefined) return surprise(random);
  record[key] = mutate(random, record[key]);
  return value;
}

/** JSON that is deeper than JSON.stringify goes becomes a text all the same. */
export function toText(value: unknown): string {
  try {
    return JSON.stringify(value) ?? 'null';
  } catch {
    return `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
  }
}

export { strings };
