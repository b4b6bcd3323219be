import { setKey } from '../decode/decode-value';

/** A patch that does not apply to its object: a missing path, a failed test. */
export class PatchConflict extends Error {}

/** A patch that is none. */
export class PatchSyntaxError extends Error {}

/** As upstream's MaxJSONPatchOperations. */
export const maxOperations = 10_000;
/** `copy` doubles what it copies, so a short patch could make a huge object: a bound for all copies together. */
const maxCopiedBytes = 3 * 1024 * 1024;
/** What comes into a list or goes from it makes all after it move: a bound for these moves together, which take a quarter of a second. */
const maxShifts = 200_000_000;

interface Operation {
  op: string;
  path: string;
  from?: string;
  value?: unknown;
}

type Container = Record<string, unknown> | unknown[];

/** JSON patch (RFC 6902). Works on a copy of `original`. @throws PatchConflict, PatchSyntaxError */
export function jsonPatch(original: unknown, patch: unknown): unknown {
  const operations = checkOperations(patch);
  const holder: Record<string, unknown> = { root: JSON.parse(JSON.stringify(original)) as unknown };
  let copied = 0;
  let shifted = 0;
  for (const operation of operations) {
    const { op, path, value } = operation;
    switch (op) {
      case 'add':
        shifted += add(holder, path, value);
        break;
      case 'remove':
        shifted += remove(holder, path);
        break;
      case 'replace':
        read(holder, path);
        replace(holder, path, value);
        break;
      case 'move': {
        const moved = read(holder, operation.from ?? '');
        if (path.startsWith(`${operation.from}/`))
          throw new PatchConflict(`unable to move ${operation.from} into itself`);
        shifted += remove(holder, operation.from ?? '') + add(holder, path, moved);
        break;
      }
      case 'copy': {
        const json = JSON.stringify(read(holder, operation.from ?? ''));
        copied += json.length;
        if (copied > maxCopiedBytes)
          throw new PatchConflict('unable to apply patch: the copied values together are too large');
        shifted += add(holder, path, JSON.parse(json) as unknown);
        break;
      }
      default:
        if (!equal(tryRead(holder, path), value)) throw new PatchConflict(`testing path ${path} failed`);
    }
    if (shifted > maxShifts)
      throw new PatchConflict('unable to apply patch: too many changes within lists that are too long');
  }
  return holder['root'];
}

const known = new Set(['add', 'remove', 'replace', 'move', 'copy', 'test']);

function checkOperations(patch: unknown): Operation[] {
  if (!Array.isArray(patch)) throw new PatchSyntaxError('a JSON patch must be an array of operations');
  for (const [index, operation] of (patch as Partial<Operation>[]).entries()) {
    if (typeof operation !== 'object' || operation === null || !known.has(operation.op ?? ''))
      throw new PatchSyntaxError(`operation ${index}: unexpected kind: ${String(operation?.op ?? 'unknown')}`);
    if (typeof operation.path !== 'string' || (operation.path !== '' && !operation.path.startsWith('/')))
      throw new PatchSyntaxError(`operation ${index}: path must be a JSON pointer`);
    if ((operation.op === 'move' || operation.op === 'copy') && typeof operation.from !== 'string')
      throw new PatchSyntaxError(`operation ${index}: from must be a JSON pointer`);
    if ((operation.op === 'add' || operation.op === 'replace') && operation.value === undefined)
      throw new PatchSyntaxError(`operation ${index}: value is missing`);
  }
  return patch as Operation[];
}

function tokens(path: string): string[] {
  if (path === '') return [];
  return path
    .slice(1)
    .split('/')
    .map(token => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** The container and the last token of a path; the whole document is "root" of the holder. */
function locate(holder: Container, path: string): [Container, string] {
  let at: Container = holder;
  let key = 'root';
  for (const token of tokens(path)) {
    const next = child(at, key);
    if (typeof next !== 'object' || next === null) throw missing(path);
    at = next as Container;
    key = token;
  }
  return [at, key];
}

function child(container: Container, key: string): unknown {
  if (Array.isArray(container)) return container[indexIn(container, key, container.length - 1)];
  return Object.hasOwn(container, key) ? container[key] : undefined;
}

function indexIn(list: readonly unknown[], key: string, max: number): number {
  if (!/^(0|[1-9]\d{0,8})$/.test(key)) throw new PatchConflict(`${JSON.stringify(key)} is not an index of a list`);
  const index = Number(key);
  if (index > max) throw new PatchConflict(`index ${index} is out of the bounds of a list of ${list.length}`);
  return index;
}

function missing(path: string): PatchConflict {
  return new PatchConflict(`the path ${JSON.stringify(path)} does not exist: missing path`);
}

function read(holder: Container, path: string): unknown {
  const [container, key] = locate(holder, path);
  const value = child(container, key);
  if (value === undefined) throw missing(path);
  return value;
}

function tryRead(holder: Container, path: string): unknown {
  try {
    return read(holder, path);
  } catch (error) {
    if (error instanceof PatchConflict) return undefined;
    throw error;
  }
}

/** How many elements of a list have moved. */
function add(holder: Container, path: string, value: unknown): number {
  const [container, key] = locate(holder, path);
  if (!Array.isArray(container)) setKey(container, key, value);
  else if (key === '-') container.push(value);
  else {
    const index = indexIn(container, key, container.length);
    container.splice(index, 0, value);
    return container.length - index;
  }
  return 0;
}

function replace(holder: Container, path: string, value: unknown): void {
  const [container, key] = locate(holder, path);
  if (Array.isArray(container)) container[indexIn(container, key, container.length - 1)] = value;
  else setKey(container, key, value);
}

/** How many elements of a list have moved. */
function remove(holder: Container, path: string): number {
  const [container, key] = locate(holder, path);
  if (child(container, key) === undefined) throw missing(path);
  if (Array.isArray(container)) {
    container.splice(Number(key), 1);
    return container.length - Number(key);
  }
  delete container[key];
  return 0;
}

/** JSON equality; an absent value equals null, as in upstream's test operation. */
function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if ((a ?? null) === null || (b ?? null) === null) return (a ?? null) === (b ?? null);
  if (typeof a !== 'object' || typeof b !== 'object') return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  const keys = Object.keys(left);
  if (keys.length !== Object.keys(right).length) return false;
  return keys.every(key => Object.hasOwn(right, key) && equal(left[key], right[key]));
}
