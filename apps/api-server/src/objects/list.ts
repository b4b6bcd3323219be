import { StatusError } from '@naru/foundation';
import { parseFieldSelector, parseLabelSelector, type AnyDefinition } from '@naru/api';
import type { Entry } from '../storage/entry';
import type { Storage } from '../storage/storage';
import { selects, type Selection, type WatchCache } from '../storage/watch-cache';
import { badRequest } from './failures';
import { presentObject } from './present';

/** The query of a list, as text. */
export interface ListQuery {
  labelSelector: string;
  fieldSelector: string;
  /** 0: no limit. */
  limit: number;
  continue: string;
  resourceVersion: string;
  resourceVersionMatch: string;
}

export interface ListReply {
  entries: Entry[];
  revision: number;
  /** "" when the list is complete. */
  continue: string;
  remaining: number | undefined;
}

export function parseSelection(
  definition: AnyDefinition,
  namespace: string,
  query: Pick<ListQuery, 'labelSelector' | 'fieldSelector'>,
): Selection {
  const labels = query.labelSelector === '' ? undefined : parseLabelSelector(query.labelSelector);
  const fields = query.fieldSelector === '' ? undefined : parseFieldSelector(query.fieldSelector, definition);
  if (!definition.storedAs || !fields) return { namespace, labels, fields };
  const fieldsOf = (entry: Entry) => definition.selectableFields(presentObject(definition, entry.bytes));
  return { namespace, labels, fields, fieldsOf };
}

/** Parses a resourceVersion that a client gave; "" is 0. */
export function parseRevision(text: string): number {
  if (text === '') return 0;
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(`Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`);
  return Number(text);
}

export function tooLarge(revision: number, current: number): StatusError {
  return new StatusError('Timeout', `Too large resource version: ${revision}, current: ${current}`, {
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  });
}

/** The stored objects among which a list chooses: to be ready before its selectors look into them. */
export function candidatesOf(
  storage: Storage,
  definition: AnyDefinition,
  namespace: string,
  query: ListQuery,
  nowMs: number,
): readonly Entry[] {
  const cache = storage.cache(definition);
  const { rv, start } = query.continue === '' ? { rv: -1, start: '' } : parseToken(query.continue);
  return (rv === -1 ? undefined : cache.snapshot(rv, nowMs, start)) ?? cache.select({ namespace });
}

export function listObjects(
  storage: Storage,
  definition: AnyDefinition,
  namespace: string,
  query: ListQuery,
  nowMs: number,
): ListReply {
  const cache = storage.cache(definition);
  const selection = parseSelection(definition, namespace, query);
  const { revision } = storage;
  if (query.continue !== '') return continueList(storage, definition, selection, query, nowMs);
  const wanted = parseRevision(query.resourceVersion);
  if (wanted > revision) throw tooLarge(wanted, revision);
  if (query.resourceVersionMatch === 'Exact' && wanted !== revision && cache.eventsAfter(wanted).length > 0)
    throw new StatusError('Expired', `The provided resource version ${wanted} is no longer available`);
  const entries = cache.select(selection);
  return page(cache, selection, entries, revision, query.limit, nowMs);
}

interface Token {
  v: 'meta.k8s.io/v1';
  rv: number;
  start: string;
}

/** To be awaited, if there is anything to wait for, before a list is continued that another server may have begun. */
export function recallList(
  storage: Storage,
  definition: AnyDefinition,
  query: ListQuery,
  nowMs: number,
): Promise<void> | undefined {
  if (!storage.shared) return undefined;
  const { rv, start } = parseToken(query.continue);
  return rv === -1 ? storage.fresh('') : storage.recallSnapshot(definition, rv, start, nowMs);
}

function continueList(
  storage: Storage,
  definition: AnyDefinition,
  selection: Selection,
  query: ListQuery,
  nowMs: number,
): ListReply {
  const token = parseToken(query.continue);
  const cache = storage.cache(definition);
  const snapshot = token.rv === -1 ? undefined : cache.snapshot(token.rv, nowMs, token.start);
  const revision = token.rv === -1 ? storage.revision : token.rv;
  if (!snapshot && token.rv !== -1 && token.rv !== storage.revision) throw expired(token);
  const entries = (snapshot ?? cache.select({ namespace: selection.namespace })).filter(
    entry => entry.key >= token.start && selects(selection, entry),
  );
  return page(cache, selection, entries, revision, query.limit, nowMs);
}

function page(
  cache: WatchCache,
  selection: Selection,
  entries: Entry[],
  revision: number,
  limit: number,
  nowMs: number,
): ListReply {
  if (limit <= 0 || entries.length <= limit) return { entries, revision, continue: '', remaining: undefined };
  const start = entries[limit]!.key;
  // A page may be asked for again, and lists of other namespaces begin at the same revision: all is kept, by reference.
  if (!cache.snapshot(revision, nowMs, start)) cache.keepSnapshot(revision, nowMs);
  const selective = (selection.labels && !selection.labels.empty) || (selection.fields && !selection.fields.empty);
  return {
    entries: entries.slice(0, limit),
    revision,
    continue: encodeToken({ v: 'meta.k8s.io/v1', rv: revision, start }),
    remaining: selective ? undefined : entries.length - limit,
  };
}

function encodeToken(token: Token): string {
  return Buffer.from(JSON.stringify(token)).toString('base64url');
}

function parseToken(text: string): Token {
  try {
    const token = JSON.parse(Buffer.from(text, 'base64url').toString()) as Token;
    if (token.v === 'meta.k8s.io/v1' && Number.isInteger(token.rv) && typeof token.start === 'string') return token;
  } catch {
    // Falls through: whatever is wrong with it, the answer is the same.
  }
  throw badRequest('continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)');
}

/** The token inside lets the client go on without consistency, as upstream offers. */
function expired(token: Token): StatusError {
  const error = new StatusError(
    'Expired',
    'The provided continue parameter is too old to display a consistent list result. You can start a new list without ' +
      'the continue parameter, or use the continue token in this response to retrieve the remainder of the results. ' +
      'Continuing with the provided token results in an inconsistent list - objects that were created, modified, or ' +
      'deleted between the time the first chunk was returned and now may show up in the list.',
  );
  return Object.assign(error, { continueToken: encodeToken({ ...token, rv: -1 }) });
}
