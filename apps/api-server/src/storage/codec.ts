import { StatusError } from '@naru/foundation';
import type { KubeObject } from '@naru/api';

/** As long as a body may be: what is larger could not be sent back. Etcd takes 1.5 MiB and says so itself. */
export const maxObjectBytes = 3 * 1024 * 1024;

/**
 * An object's bytes begin with kind, apiVersion and metadata, so that the resourceVersion has a place that is found
 * without parsing: the store keeps the object without it (the revision is not known before the commit), and the cache
 * holds it with `"resourceVersion":"N",` as the first member of the metadata.
 */
const metadataOpening = '"metadata":{';
const revisionOpening = '"resourceVersion":"';

/**
 * The object as JSON for the store: without its resourceVersion, and with the owners of its fields last in the metadata,
 * so that an object that did not change has the same bytes whichever way it came.
 */
export function encodeObject(object: KubeObject): Buffer {
  const { kind, apiVersion, metadata = {}, ...rest } = object;
  const { managedFields, resourceVersion: _, ...others } = metadata;
  return Buffer.from(JSON.stringify({ kind, apiVersion, metadata: { ...others, managedFields }, ...rest }));
}

/**
 * The same where it is small enough. What is too large, perhaps only by who owns its fields, goes without these, as
 * upstream has it; `owned` when they are what the write is about. @throws StatusError RequestEntityTooLarge
 */
export function encodeToFit(object: KubeObject, { owned = false } = {}): Buffer {
  const value = encodeObject(object);
  if (value.length <= maxObjectBytes) return value;
  if (!owned && object.metadata?.managedFields) {
    delete object.metadata.managedFields;
    return encodeToFit(object, { owned: true });
  }
  throw new StatusError(
    'RequestEntityTooLarge',
    `etcdserver: request is too large: the object takes ${value.length} bytes, limit is ${maxObjectBytes}`,
  );
}

/** The bytes as clients see them: `stored` with the resourceVersion put in. */
export function withRevision(stored: Buffer, revision: number): Buffer {
  return splice(stored, metadataEnd(stored), 0, revision);
}

/** How long `withRevision` makes it. */
export function lengthWithRevision(stored: Buffer, revision: number): number {
  return stored.length + revisionMember(revision).length;
}

/** The same object under another resourceVersion: for a deletion, which shows the last state at its own revision. */
export function replaceRevision(bytes: Buffer, revision: number): Buffer {
  const at = metadataEnd(bytes);
  const end = bytes.indexOf('",', at + revisionOpening.length);
  return splice(bytes, at, end + 2 - at, revision);
}

function metadataEnd(bytes: Buffer): number {
  const at = bytes.indexOf(metadataOpening);
  if (at < 0) throw new Error('Cannot place the resourceVersion: the stored object has no metadata');
  return at + metadataOpening.length;
}

function splice(bytes: Buffer, at: number, drop: number, revision: number): Buffer {
  const member = revisionMember(revision);
  // Not from the shared pool: these buffers live long, and a pooled one would keep its neighbours' memory.
  const result = Buffer.allocUnsafeSlow(bytes.length - drop + member.length);
  bytes.copy(result, 0, 0, at);
  result.write(member, at, 'latin1');
  bytes.copy(result, at + member.length, at + drop);
  return result;
}

function revisionMember(revision: number): string {
  return `${revisionOpening}${revision}",`;
}

/** A private copy of the object, with its resourceVersion. */
export function decodeBytes<T extends KubeObject = KubeObject>(bytes: Buffer): T {
  return JSON.parse(bytes.toString()) as T;
}
