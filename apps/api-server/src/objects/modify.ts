import { formatTime, StatusError } from '@naru/foundation';
import { apiVersionOf, invalidObject, sameButTimes, storedEntries, trackUpdate, type KubeObject } from '@naru/api';
import { decodeBytes, encodeObject, encodeToFit, lengthWithRevision, withRevision } from '../storage/codec';
import type { Entry } from '../storage/entry';
import { admissionRequest } from './admission-request';
import { conflict, notFound } from './failures';
import { hooksOf, type ObjectDeps } from './deps';
import { writerOf } from './field-tracking';
import { presentBytes, presentObject, readyToPresent } from './present';
import { warn, type ObjectReply, type ObjectRequest } from './request';

/** How an update becomes what is stored. */
export type Mode = 'object' | 'status' | 'part' | 'raw';

export interface Modification {
  /**
   * Object: everything but the status, by the kind's strategy. Status: the status alone. Part: what
   * the subresource is about, by the kind's strategy for it. Raw: what the transform gives
   * is stored as it is: for the server's own changes (binding, deletion marks), which need no validation.
   */
  mode: Mode;
  /** Gives the wanted object; gets a private copy of the current one and may change it. Called again after a conflict. */
  transform(current: KubeObject): KubeObject | Promise<KubeObject>;
  /**
   * Who notes in metadata.managedFields what changed: this module (`update`, the default but for raw changes), or the
   * transform, which is also how nobody does (`transform`).
   */
  tracking?: 'update' | 'transform';
  /** The transform has asked admission, about what was posted and not about the object. */
  admitted?: boolean;
}

/** More conflicts in a row than any healthy client meets. */
const maxConflicts = 200;

/** Read, change, write while nobody else has written; again after a conflict. */
export function modifyObject(
  deps: ObjectDeps,
  request: ObjectRequest,
  modification: Modification,
): Promise<ObjectReply> {
  const { definition, namespace, name } = request;
  return deps.locks.run(`${definition.type.group}/${definition.type.resource}/${namespace}/${name}`, () =>
    modifyUntilStored(deps, request, modification),
  );
}

async function modifyUntilStored(
  deps: ObjectDeps,
  request: ObjectRequest,
  modification: Modification,
): Promise<ObjectReply> {
  const { definition, namespace, name } = request;
  const cache = deps.storage.cache(definition);
  for (let attempt = 0; attempt < maxConflicts; attempt++) {
    request.signal.throwIfAborted();
    const entry = cache.get(namespace, name);
    if (!entry) throw notFound(definition.type, name);
    await readyToPresent(definition, [entry.bytes], request.signal);
    const current = presentObject(definition, entry.bytes);
    // Of what was there before a raw change only the metadata is asked for.
    const old =
      modification.mode === 'raw'
        ? { ...current, metadata: { ...current.metadata } }
        : presentObject(definition, entry.bytes);
    const next = await modification.transform(current);
    checkPreconditions(request, next, old);
    const reply = await tryStore(deps, request, modification, entry, old, next);
    if (reply) return reply;
  }
  throw conflict(definition.type, name);
}

/** A caller who names a version insists on it: after a conflict the next attempt fails here. */
function checkPreconditions({ definition, name }: ObjectRequest, next: KubeObject, old: KubeObject): void {
  const { resourceVersion, uid } = next.metadata ?? {};
  if (uid && uid !== old.metadata?.uid)
    throw conflict(
      definition.type,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata?.uid}`,
    );
  if (!resourceVersion || resourceVersion === '0') return;
  if (resourceVersion !== old.metadata?.resourceVersion) throw conflict(definition.type, name);
}

async function tryStore(
  deps: ObjectDeps,
  request: ObjectRequest,
  modification: Modification,
  entry: Entry,
  old: KubeObject,
  next: KubeObject,
): Promise<ObjectReply | undefined> {
  const { definition } = request;
  const { mode, tracking = mode === 'raw' ? 'transform' : 'update' } = modification;
  keepSystemMetadata(request, next, old, mode);
  const track = (): void => {
    if (tracking === 'update') trackUpdate(old, next, writerOf(deps, request));
  };
  if (mode === 'raw') track();
  else next = await prepare(deps, request, modification, next, old, track);
  const stored = definition.storedAs ? await definition.storedAs.toStored(next) : next;
  const isApply = mode !== 'raw' && tracking === 'transform';
  const value = encodeToFit(stored, { owned: isApply });
  if (sameAsStored(entry, value, stored)) return { code: 200, bytes: presentBytes(definition, entry.bytes) };
  const gone = isFinished(stored);
  const hooks = hooksOf(deps, definition);
  const reservation = mode === 'object' && !gone ? hooks?.beginUpdate?.(next, old, request) : undefined;
  // What was reserved is written into the object.
  const reserved = reservation ? encodeToFit(stored, { owned: isApply }) : value;
  let kept = false;
  try {
    if (request.dryRun) return { code: 200, bytes: withRevision(encodeObject(next), entry.revision) };
    const committed = await deps.storage.commit({
      definition: deps.storage.storedDefinition(definition),
      namespace: request.namespace,
      name: request.name,
      object: gone ? undefined : stored,
      value: gone ? undefined : reserved,
      expected: entry.revision,
      claims: gone ? hooks?.endClaims?.(old) : reservation?.claims,
    });
    if (!committed) return undefined;
    kept = true;
    if (!gone) {
      await readyToPresent(definition, [committed.bytes], request.signal);
      return { code: 200, bytes: presentBytes(definition, committed.bytes) };
    }
    return { code: 200, bytes: withRevision(encodeObject(next), committed.revision) };
  } finally {
    if (!kept) reservation?.rollback();
  }
}

async function prepare(
  deps: ObjectDeps,
  request: ObjectRequest,
  { mode, admitted = false }: Modification,
  wanted: KubeObject,
  old: KubeObject,
  track: () => void,
): Promise<KubeObject> {
  const { definition } = request;
  const { strategy, type } = definition;
  if (mode === 'object') hooksOf(deps, definition)?.carryOver?.(wanted, old);
  strategy.applyDefaults(wanted);
  // Before admission, as upstream: what the server changes belongs to nobody.
  track();
  const admission = admissionRequest(request, 'update', { object: wanted, old });
  if (!admitted) await deps.admission.admit(admission);
  const next = admission.object!;
  if (next !== wanted) keepSystemMetadata(request, next, old, mode);
  const part = mode === 'part' ? strategy.parts?.[request.subresource] : undefined;
  if (part) part.prepareForUpdate(next, old, formatTime(deps.clock.now()));
  else if (mode === 'status') strategy.prepareForStatusUpdate(next, old);
  else strategy.prepareForUpdate(next, old);
  const validate = mode === 'status' ? strategy.validateStatusUpdate : strategy.validateUpdate;
  const errors = (part?.validateUpdate ?? validate)(next, old);
  if (errors.length > 0) throw invalidObject(type, request.name, errors);
  if (!admitted) await deps.admission.validate(admission);
  if (mode === 'object') warn(request, strategy.warnings?.(next));
  return next;
}

/** What no client may change: identity, birth and the marks of deletion. */
function keepSystemMetadata(request: ObjectRequest, next: KubeObject, old: KubeObject, mode: Mode): void {
  const { definition, namespace, name } = request;
  const metadata = (next.metadata ??= {});
  const before = old.metadata ?? {};
  metadata.name ||= name;
  if (metadata.name !== name)
    throw new StatusError(
      'BadRequest',
      `the name of the object (${metadata.name}) does not match the name on the URL (${name})`,
    );
  if (definition.type.namespaced) {
    metadata.namespace ||= namespace;
    if (metadata.namespace !== namespace)
      throw new StatusError(
        'BadRequest',
        `the namespace of the object (${metadata.namespace}) does not match the namespace on the request (${namespace})`,
      );
  } else delete metadata.namespace;
  next.apiVersion = apiVersionOf(definition.type);
  next.kind = definition.type.kind;
  const kept = ['uid', 'creationTimestamp', 'generation', 'generateName', 'selfLink'] as const;
  const marks = ['deletionTimestamp', 'deletionGracePeriodSeconds'] as const;
  for (const field of mode === 'raw' ? kept.filter(f => f !== 'generation') : [...kept, ...marks]) {
    if (before[field] === undefined) delete metadata[field];
    else (metadata as Record<string, unknown>)[field] = before[field];
  }
}

/** Compared as bytes: a different order of keys costs one write, and then is the stored order. */
function sameAsStored(entry: Entry, value: Buffer, next: KubeObject): boolean {
  if (lengthWithRevision(value, entry.revision) !== entry.bytes.length) return false;
  const encoded = withRevision(value, entry.revision);
  if (encoded.equals(entry.bytes)) return true;
  // A new time alone, of a change that was taken back on its way, is no change. Times are all of one length.
  const stored = decodeBytes(entry.bytes).metadata;
  if (!sameButTimes(storedEntries(next.metadata), storedEntries(stored))) return false;
  const metadata = { ...next.metadata, managedFields: stored?.managedFields };
  return withRevision(encodeObject({ ...next, metadata }), entry.revision).equals(entry.bytes);
}

/** Deletion was asked for, its grace is over, and nobody holds it back: this update ends the object. */
export function isFinished(object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers } = object.metadata ?? {};
  if (!deletionTimestamp || (finalizers?.length ?? 0) > 0 || (deletionGracePeriodSeconds ?? 0) > 0) return false;
  // A namespace is held by its spec too; see the finalize subresource.
  const { spec } = object as { spec?: { finalizers?: string[] } };
  return object.kind !== 'Namespace' || (spec?.finalizers?.length ?? 0) === 0;
}
