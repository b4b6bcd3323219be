import { isJsonObject, type ListType } from './merge-type';

/** The elements of fields that a schema names: few, and made for every object that is written. */
const declared = new Map<string, string>();
const maxDeclared = 10_000;

/** "f:NAME", the element of a field. */
export function fieldElement(name: string, isDeclared = false): string {
  if (!isDeclared) return `f:${name}`;
  let element = declared.get(name);
  if (element === undefined) {
    element = `f:${name}`;
    if (declared.size < maxDeclared) declared.set(name, element);
  }
  return element;
}

/** The element of a list's item; undefined for an item that cannot be told from others: without a key, or not plain. */
export function itemElement(type: ListType, item: unknown): string | undefined {
  if (type.keys.length === 0) return typeof item === 'object' ? undefined : `v:${JSON.stringify(item)}`;
  if (!isJsonObject(item)) return undefined;
  let text = '';
  for (const key of type.keys) {
    const value = item[key] ?? type.keyDefault(key);
    if (value === undefined) continue;
    text += `${text === '' ? '' : ','}${quote(key)}:${quote(value)}`;
  }
  return text === '' ? undefined : `k:{${text}}`;
}

const plain = /^[\w./-]*$/;

/** As JSON. Most keys are names, for which that is much slower than a look. */
function quote(value: unknown): string {
  return typeof value === 'string' && plain.test(value) ? `"${value}"` : JSON.stringify(value);
}

/** A path as upstream prints it: `.spec.containers[name="main"].args[="x"]`. */
export function printPath(path: readonly string[]): string {
  return path.map(printElement).join('');
}

export function printElement(element: string): string {
  const text = element.slice(2);
  switch (element[0]) {
    case 'f':
      return `.${text}`;
    case 'k': {
      const keys = Object.entries(JSON.parse(text) as Record<string, unknown>);
      return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
    }
    case 'v':
      return `[=${text}]`;
    default:
      return `[${text}]`;
  }
}
