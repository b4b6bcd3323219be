import { StatusError } from '@naru/foundation';
import { parseTime } from './time';

/** A whole number of a query, undefined when it is absent or empty. Throws BadRequest in the words of Go's strconv for what is none. */
export function integerParameter(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  const refuse = (why: string): StatusError =>
    new StatusError('BadRequest', `strconv.ParseInt: parsing ${JSON.stringify(text)}: ${why}`);
  if (!/^[+-]?\d+$/.test(text)) throw refuse('invalid syntax');
  if (!Number.isSafeInteger(Number(text))) throw refuse('value out of range');
  return Number(text);
}

/** A flag of a query as upstream reads it: there without a value means true. */
export function booleanParameter(query: URLSearchParams, name: string): boolean {
  const text = query.get(name)?.toLowerCase();
  return text !== undefined && text !== 'false' && text !== '0';
}

/** An RFC 3339 time of a query in milliseconds, undefined when it is absent or empty. Throws BadRequest for what is none. */
export function timeParameter(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null || text === '') return undefined;
  const at = parseTime(text);
  if (at === undefined)
    throw new StatusError('BadRequest', `parsing time ${JSON.stringify(text)}: not as RFC 3339 has it`);
  return at;
}
