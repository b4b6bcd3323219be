/** Gives what a path finds, in order. Missing fields find nothing. */
export type JsonPath = (root: unknown) => unknown[];

type Step = (value: unknown) => unknown[];
type JsonObject = Record<string, unknown>;

const maxPathLength = 1000;
const maxResults = 1000;

/**
 * The JSONPath of printer columns and selectable fields, as Kubernetes writes it: `.status.conditions[?(@.type=="Ready")].status`,
 * `.spec.list[0]`, `.metadata.annotations.a\.b`, `['key']`, `[*]`, `[-1]`, `[0:2]`, `..name`.
 * @throws Error for what it cannot parse
 */
export function parseJsonPath(text: string): JsonPath {
  if (text.length > maxPathLength) throw new Error(`is longer than ${maxPathLength} characters`);
  const steps = parseSteps(text.startsWith('$') ? text.slice(1) : text);
  return root => {
    let values = [root];
    for (const step of steps) {
      values = values.flatMap(step).slice(0, maxResults);
      if (values.length === 0) break;
    }
    return values;
  };
}

function parseSteps(text: string): Step[] {
  const steps: Step[] = [];
  let rest = text;
  while (rest !== '') {
    if (rest.startsWith('..')) {
      const name = fieldName(rest.slice(2));
      steps.push(value => descend(value, name.value));
      rest = rest.slice(2 + name.length);
    } else if (rest.startsWith('.*')) {
      steps.push(children);
      rest = rest.slice(2);
    } else if (rest.startsWith('.')) {
      const name = fieldName(rest.slice(1));
      if (name.length === 0 && rest !== '.' && !rest.startsWith('.[')) throw new Error(`cannot parse "${text}"`);
      if (name.length > 0) steps.push(value => field(value, name.value));
      rest = rest.slice(1 + name.length);
    } else if (rest.startsWith('[')) {
      const end = closing(rest);
      steps.push(bracket(rest.slice(1, end)));
      rest = rest.slice(end + 1);
    } else {
      const name = fieldName(rest);
      if (name.length === 0) throw new Error(`cannot parse "${text}"`);
      steps.push(value => field(value, name.value));
      rest = rest.slice(name.length);
    }
  }
  return steps;
}

/** Up to the next dot or bracket; a backslash takes the next character as it is. */
function fieldName(text: string): { value: string; length: number } {
  const match = /^(?:\\.|[^.[\]\s\\|(){}])*/.exec(text)?.[0] ?? '';
  return { value: match.replace(/\\(.)/g, '$1'), length: match.length };
}

function closing(text: string): number {
  let quote = '';
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!;
    if (quote !== '') {
      if (char === '\\') i++;
      else if (char === quote) quote = '';
    } else if (char === '"' || char === "'") quote = char;
    else if (char === '[') depth++;
    else if (char === ']' && --depth === 0) return i;
  }
  throw new Error('unterminated array');
}

function bracket(inside: string): Step {
  const text = inside.trim();
  if (text === '*') return children;
  const filter = /^\?\((.*)\)$/s.exec(text);
  if (filter) return parseFilter(filter[1]!);
  const quoted = /^(['"])(.*)\1$/s.exec(text);
  if (quoted) return value => field(value, quoted[2]!.replace(/\\(.)/g, '$1'));
  const slice = /^(-?\d*)(?::(-?\d*))?(?::(-?\d*))?$/.exec(text);
  if (!slice || text === '') throw new Error(`invalid array index ${inside}`);
  const [, from = '', to, step] = slice;
  if (to === undefined) return value => (Array.isArray(value) ? present(value.at(Number(from))) : []);
  const every = step ? Number(step) : 1;
  return value =>
    Array.isArray(value)
      ? value
          .slice(from === '' ? 0 : Number(from), to === '' ? undefined : Number(to))
          .filter((_, i) => i % every === 0)
      : [];
}

const comparisons: Record<string, (a: unknown, b: unknown) => boolean> = {
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
  '<': (a, b) => (a as number) < (b as number),
  '<=': (a, b) => (a as number) <= (b as number),
  '>': (a, b) => (a as number) > (b as number),
  '>=': (a, b) => (a as number) >= (b as number),
};

function parseFilter(text: string): Step {
  const match = /^\s*@([^=!<>]*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.*?)\s*)?$/s.exec(text);
  if (!match) throw new Error(`unrecognized filter ${text}`);
  const [, path = '', operator, literal = ''] = match;
  const find = parseJsonPath(path.trim());
  if (operator === undefined) return value => items(value).filter(item => find(item).length > 0);
  const compare = comparisons[operator]!;
  if (literal.startsWith('@')) {
    const other = parseJsonPath(literal.slice(1));
    return value => items(value).filter(item => compare(find(item)[0], other(item)[0]));
  }
  const wanted = parseLiteral(literal);
  return value => items(value).filter(item => compare(find(item)[0], wanted));
}

function parseLiteral(text: string): unknown {
  const quoted = /^(['"])(.*)\1$/s.exec(text);
  if (quoted) return quoted[2]!.replace(/\\(.)/g, '$1');
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  if (text === '' || Number.isNaN(number)) throw new Error(`unrecognized identifier ${text}`);
  return number;
}

function items(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function present(value: unknown): unknown[] {
  return value === undefined ? [] : [value];
}

function field(value: unknown, name: string): unknown[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.hasOwn(value, name) ? present((value as JsonObject)[name]) : [];
}

function children(value: unknown): unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value) : [];
}

function descend(value: unknown, name: string): unknown[] {
  const found = field(value, name);
  for (const child of children(value)) {
    if (found.length >= maxResults) break;
    found.push(...descend(child, name));
  }
  return found;
}
