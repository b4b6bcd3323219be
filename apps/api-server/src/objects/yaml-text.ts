import { StatusError } from '@naru/foundation';
import { Composer, LineCounter, Parser, isScalar, visit, type CST, type Document } from 'yaml';
import { badRequest } from './failures';

/** How often one anchor may be used: "billion laughs" need more. */
const maxAliases = 100;
const maxDepth = 200;
/** Nobody reads more. */
const maxRepeated = 100;
/** Reading YAML takes milliseconds a kilobyte, in which nobody else is served. JSON is a hundred times faster. */
const maxBytes = 256 * 1024;

export interface ParsedYaml {
  /** Of a key that a map has more than once, the last value. */
  value: unknown;
  /** `line 4: key "foo" already set in map`. */
  repeated: string[];
}

/**
 * The one document of a YAML text. Lazily loaded: few clients send YAML that is not JSON.
 * @throws StatusError BadRequest, RequestEntityTooLarge
 */
export function parseYamlText(text: string): ParsedYaml {
  if (text.length > maxBytes)
    throw new StatusError(
      'RequestEntityTooLarge',
      `Request entity too large: limit is ${maxBytes} for YAML; send it as JSON`,
    );
  const lines = new LineCounter();
  const tokens = [...new Parser(lines.addNewLine).parse(text)];
  // Composing goes down by recursion: what is too deep for the stack would end the process.
  if (isDeeper(tokens, maxDepth)) throw badRequest('the object is nested too deeply');
  // The library looks for keys that are there twice by comparing each with each.
  const [document, ...more] = new Composer({ version: '1.1', uniqueKeys: false }).compose(tokens, true, text.length);
  const error = document?.errors[0];
  if (error) throw notYaml(error);
  if (more.length > 0) throw notYaml(new Error('more than one document'));
  try {
    const value: unknown = document?.toJS({ maxAliasCount: maxAliases });
    return { value, repeated: document ? repeatedKeys(document, lines) : [] };
  } catch (cause) {
    throw notYaml(cause as Error);
  }
}

function notYaml(cause: Error): StatusError {
  return badRequest(`error converting YAML to JSON: ${cause.message}`, cause);
}

/** Keys that a map has twice, in the words of upstream's reader. */
function repeatedKeys(document: Document.Parsed, lines: LineCounter): string[] {
  const repeated: { at: number; name: string }[] = [];
  visit(document, {
    Map: (_, { items }) => {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const name = key.source ?? String(key.value);
        // A merge key may be there more than once.
        if (seen.has(key.value) && name !== '<<') repeated.push({ at: key.range?.[0] ?? 0, name });
        if (repeated.length >= maxRepeated) return visit.BREAK;
        seen.add(key.value);
      }
      return undefined;
    },
  });
  repeated.sort((one, other) => one.at - other.at);
  return repeated.map(
    ({ at, name }) => `line ${lines.linePos(at).line}: key ${JSON.stringify(name)} already set in map`,
  );
}

type Node = CST.Token | CST.CollectionItem | undefined | null;

/** Whether collections are nested more than `limit` times; found without recursion. */
function isDeeper(tokens: readonly CST.Token[], limit: number): boolean {
  const waiting: [node: Node, depth: number][] = tokens.map(token => [token, 0]);
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const [node, depth] = next;
    if (!node) continue;
    if (depth > limit) return true;
    if ('items' in node) for (const item of node.items) waiting.push([item, depth + 1]);
    if ('key' in node && node.key) waiting.push([node.key, depth]);
    if ('value' in node && typeof node.value === 'object') waiting.push([node.value, depth]);
  }
  return false;
}
