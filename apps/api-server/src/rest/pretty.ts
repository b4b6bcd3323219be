import type { HttpRequest } from './http';

/** Who reads what they get: command-line tools and browsers. Source: apiserver endpoints/handlers/negotiation isPrettyPrint. */
const readers = /^(?:curl|Wget|Mozilla\/5\.0)/;
/** Larger answers nobody reads; they stay as they are. */
const maxBytes = 4 << 20;

const truths = new Set(['1', 't', 'T', 'true', 'TRUE', 'True']);
const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s"{}[\],:]+/g;

/** True when an answer of that size is to be shown to people, as `?pretty=` says or by who asks. */
export function isPretty({ url = '', headers }: HttpRequest, bytes: number): boolean {
  if (bytes > maxBytes) return false;
  const query = url.includes('pretty=') ? url.slice(url.indexOf('?') + 1) : '';
  const wish = new URLSearchParams(query).get('pretty');
  return wish ? truths.has(wish) : readers.test(headers['user-agent'] ?? '');
}

/** The same JSON with line breaks. Numbers and strings are kept to the letter: parsing would round what is large. */
export function indent(json: string): string {
  let [text, depth, last] = ['', 0, ''];
  const newLine = (): string => `\n${'  '.repeat(depth)}`;
  for (const [token] of json.matchAll(tokens)) {
    const closes = token === '}' || token === ']';
    if (closes) depth--;
    const opened = last === '{' || last === '[';
    if (closes ? !opened : opened || last === ',') text += newLine();
    text += token === ':' ? ': ' : token;
    if (token === '{' || token === '[') depth++;
    last = token;
  }
  return text;
}
