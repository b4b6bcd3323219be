interface Duplicate {
  path: string;
  key: string;
  /** The first is 1. */
  line: number;
}

/** Nobody reads more. */
const maxDuplicates = 100;

/**
 * Finds the fields that occur twice in one object of a JSON text, as paths ("spec.containers[0].image"). JSON.parse
 * silently takes the last one. The text must be valid JSON: parse it first.
 */
export function duplicateFields(text: string): string[] {
  return findDuplicates(text).map(({ path }) => path);
}

/** The same in the words of Go's YAML reader, for JSON that came as YAML: `line 4: key "foo" already set in map`. */
export function duplicateKeys(text: string): string[] {
  return findDuplicates(text).map(({ line, key }) => `line ${line}: key ${JSON.stringify(key)} already set in map`);
}

function findDuplicates(text: string): Duplicate[] {
  const found: Duplicate[] = [];
  const scopes: Scope[] = [];
  let line = 1;
  for (let i = 0; i < text.length && found.length < maxDuplicates; i++) {
    switch (text.charCodeAt(i)) {
      case newline:
        line++;
        break;
      case openBrace:
        scopes.push({ keys: new Set(), key: '', index: -1 });
        break;
      case openBracket:
        scopes.push({ keys: undefined, key: '', index: 0 });
        break;
      case closeBrace:
      case closeBracket:
        scopes.pop();
        break;
      case comma: {
        const scope = scopes[scopes.length - 1];
        if (scope && !scope.keys) scope.index++;
        break;
      }
      case quote: {
        const end = endOfString(text, i);
        const scope = scopes[scopes.length - 1];
        if (scope?.keys && isKey(text, end)) {
          const raw = text.slice(i, end + 1);
          scope.key = raw.includes('\\') ? (JSON.parse(raw) as string) : raw.slice(1, -1);
          if (scope.keys.has(scope.key)) found.push({ path: pathOf(scopes), key: scope.key, line });
          scope.keys.add(scope.key);
        }
        i = end;
        break;
      }
    }
  }
  return found;
}

interface Scope {
  /** Absent in an array. */
  keys: Set<string> | undefined;
  key: string;
  index: number;
}

const newline = 0x0a;
const openBrace = 0x7b;
const closeBrace = 0x7d;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const comma = 0x2c;
const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;

function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end > 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end < 0 ? text.length : end;
}

function isEscaped(text: string, at: number): boolean {
  let slashes = 0;
  while (text.charCodeAt(at - 1 - slashes) === backslash) slashes++;
  return slashes % 2 === 1;
}

/** Whether the string that ends at `end` is followed by a colon. */
function isKey(text: string, end: number): boolean {
  let next = end + 1;
  while (text.charCodeAt(next) <= 0x20) next++;
  return text.charCodeAt(next) === colon;
}

function pathOf(scopes: readonly Scope[]): string {
  let path = '';
  for (const scope of scopes) {
    if (scope.keys) path += path === '' ? scope.key : `.${scope.key}`;
    else path += `[${scope.index}]`;
  }
  return path;
}
