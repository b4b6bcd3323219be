/**
 * The feed: what the api-server tells over NATS about each committed change.
 *
 * Subject: `feed.GROUP.RESOURCE.PARTITION.NAMESPACE.NAME`. GROUP is "core" for the core group; PARTITION is the node of
 * a pod and `_` for everything else and for pods without a node; NAMESPACE is `_` for cluster-scoped objects. Each token
 * is escaped by `feedToken`. The payload is the committed object as JSON; for a deletion the last state with the
 * deletion's resourceVersion. Of Secrets the payload is empty: the reader fetches them over gRPC.
 *
 * Headers: `Naru-Type` ADDED | MODIFIED | DELETED | BOOKMARK; `Naru-Rv` the resourceVersion of the change;
 * `Naru-Prev` the Naru-Rv of the change before it in the same resource and partition, absent when the publisher does not
 * know it (it has just started). A reader whose last version is not `Naru-Prev` has missed something and lists again.
 * A BOOKMARK (name `_bookmark`) repeats the last version of a partition soon after its last change, so that the loss of a
 * final change is noticed too. `Nats-Msg-Id` is `RV` + "." + partition-scoped kind: several api-servers publish the same
 * change and the stream keeps one.
 *
 * Events (the kind) are not told: no process of the cluster follows them, and they are a third of all that is written while pods start.
 *
 * `feed.control.epoch` carries the start of an api-server: readers list again.
 */
export type FeedEventType = 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';

export const feedStream = 'FEED';
export const feedEpochSubject = 'feed.control.epoch';
export const feedHeaders = {
  type: 'Naru-Type',
  version: 'Naru-Rv',
  previous: 'Naru-Prev',
  trace: 'Naru-Trace',
} as const;

/** Escapes what NATS gives a meaning to (`.`, `*`, `>`, white space) and `%` itself, as %XX; "" becomes `_`. */
export function feedToken(text: string): string {
  if (text === '') return '_';
  return text.replace(/[^A-Za-z0-9_:-]/g, char => `%${char.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`);
}

/** Whether the feed tells of a resource. */
export function isTold(group: string, resource: string): boolean {
  return resource !== 'events' || (group !== '' && group !== 'events.k8s.io');
}

export interface FeedSubjectParts {
  group: string;
  resource: string;
  partition?: string;
  namespace?: string;
  name: string;
}

export function feedSubject(parts: FeedSubjectParts): string {
  const { group, resource, partition = '', namespace = '', name } = parts;
  return [
    'feed',
    group === '' ? 'core' : feedToken(group),
    resource,
    feedToken(partition),
    feedToken(namespace),
    feedToken(name),
  ].join('.');
}

/** The subject filter of all objects of a resource, or of one partition of it (a node's pods). */
export function feedFilter(group: string, resource: string, partition?: string): string {
  return `feed.${group === '' ? 'core' : feedToken(group)}.${resource}.${partition === undefined ? '*' : feedToken(partition)}.>`;
}

/** One message of the feed. */
export interface FeedMessage {
  type: FeedEventType;
  version: number;
  /** The version before this one in the same resource and partition, where the publisher knows it. */
  previous: number | undefined;
  partition: string;
  /** "" for cluster-scoped objects. */
  namespace: string;
  name: string;
  /** The object as JSON; empty when it must be fetched. */
  data: Uint8Array;
}

export interface FeedListener {
  onMessage(message: FeedMessage): void;
  /** The subscription has begun, or begun anew: what came before may be lost, so list now. */
  onLive(): void;
  /** The bus is away: poll until onLive. */
  onLost(): void;
}

/** Where informers hear of changes. */
export interface Feed {
  /** Follows a filter made by `feedFilter` until the signal aborts; heals itself and says so through the listener. */
  subscribe(filter: string, listener: FeedListener, signal: AbortSignal): void;
  close(): Promise<void>;
}
