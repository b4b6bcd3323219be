import { formatTime } from '@naru/foundation';
import { pods, namespaces, type KubeObject, type Pod } from '@naru/api';
import { decodeBytes, encodeObject, replaceRevision } from '../storage/codec';
import type { Entry } from '../storage/entry';
import { admissionRequest } from './admission-request';
import { badRequest, conflict, notFound } from './failures';
import { hooksOf, type ObjectDeps } from './deps';
import { presentBytes, presentObject, readyToPresent } from './present';
import { jsonReply, type DeleteOptions, type ObjectReply, type ObjectRequest } from './request';

const orphanFinalizer = 'orphan';
const foregroundFinalizer = 'foregroundDeletion';
/** Their pods stay when nothing is said of them: so it was before there was a garbage collector. */
const orphanedByDefault = new Set(['/replicationcontrollers', 'batch/jobs']);
const policies = new Set(['Orphan', 'Background', 'Foreground']);

export function checkDeleteOptions(options: DeleteOptions): void {
  const { propagationPolicy, orphanDependents } = options;
  if (propagationPolicy && !policies.has(propagationPolicy))
    throw badRequest(
      `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "${propagationPolicy}": supported values: "Foreground", "Background", "Orphan", "nil"`,
    );
  if (propagationPolicy && orphanDependents !== undefined && orphanDependents !== null)
    throw badRequest(
      'DeleteOptions.meta.k8s.io "" is invalid: orphanDependents and propagationPolicy cannot be both set',
    );
}

/** What deleting does to the object as it is: `undefined` when nothing changes, or the marked object, or its end. */
type Outcome = { kind: 'pending' } | { kind: 'mark'; object: KubeObject } | { kind: 'remove' };

/** Deletes one object the way upstream does: at once, or by marking it where grace or finalizers hold it. */
export async function deleteObject(
  deps: ObjectDeps,
  request: ObjectRequest,
  options: DeleteOptions,
): Promise<ObjectReply> {
  const { definition, namespace, name } = request;
  const cache = deps.storage.cache(definition);
  for (;;) {
    request.signal.throwIfAborted();
    const entry = cache.get(namespace, name);
    if (!entry) throw notFound(definition.type, name);
    checkPreconditions(request, entry, options);
    await readyToPresent(definition, [entry.bytes], request.signal);
    const object = decodeBytes(entry.bytes);
    const old = definition.storedAs ? presentObject(definition, entry.bytes) : object;
    const admission = admissionRequest(request, 'delete', { old });
    await deps.admission.admit(admission);
    await deps.admission.validate(admission);
    hooksOf(deps, definition)?.beginDelete?.(object);
    const outcome = decide(object, options, deps.clock.now(), request);
    if (outcome.kind === 'pending') {
      await readyToPresent(definition, [entry.bytes], request.signal);
      return { code: 200, bytes: presentBytes(definition, entry.bytes) };
    }
    const marked = outcome.kind === 'mark' ? outcome.object : undefined;
    if (request.dryRun) {
      if (marked) return { code: 200, bytes: encodeObject(marked) };
      return success(request, entry);
    }
    const committed = await deps.storage.commit({
      definition: deps.storage.storedDefinition(definition),
      namespace,
      name,
      object: marked,
      expected: entry.revision,
      claims: marked ? undefined : hooksOf(deps, definition)?.endClaims?.(object),
    });
    if (!committed) continue;
    if (marked) {
      await readyToPresent(definition, [committed.bytes], request.signal);
      const code = options.propagationPolicy === 'Foreground' ? 202 : 200;
      return { code, bytes: presentBytes(definition, committed.bytes) };
    }
    if (definition.type.resource === pods.resource && definition.type.group === '')
      return { code: 200, bytes: replaceRevision(entry.bytes, committed.revision) };
    return success(request, entry);
  }
}

function checkPreconditions({ definition, name }: ObjectRequest, entry: Entry, { preconditions }: DeleteOptions): void {
  const { uid, resourceVersion } = preconditions ?? {};
  if (uid && uid !== entry.uid)
    throw conflict(
      definition.type,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${entry.uid}`,
    );
  if (resourceVersion && resourceVersion !== String(entry.revision))
    throw conflict(
      definition.type,
      name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${entry.revision}`,
    );
}

/** rest.BeforeDelete and Store.Delete of apiserver, in one decision. */
function decide(
  object: KubeObject,
  options: DeleteOptions,
  nowMs: number,
  { definition: { type } }: ObjectRequest,
): Outcome {
  const metadata = (object.metadata ??= {});
  const requested = options.gracePeriodSeconds ?? undefined;
  let graceSeconds: number | undefined;
  if (metadata.deletionTimestamp) {
    const current = metadata.deletionGracePeriodSeconds;
    if (current !== undefined && current !== null) {
      if (requested === undefined || requested >= current) {
        if (current > 0 || (metadata.finalizers?.length ?? 0) > 0 || heldBySpec(object)) return { kind: 'pending' };
      } else {
        // A shorter grace counts from when the deletion was first asked for.
        const asked = Date.parse(metadata.deletionTimestamp) - current * 1000;
        metadata.deletionTimestamp = formatTime(asked + requested * 1000);
        metadata.deletionGracePeriodSeconds = graceSeconds = Math.max(0, requested);
      }
    }
  } else {
    graceSeconds =
      type.group === '' && type.resource === pods.resource ? podGrace(object as Pod, requested) : undefined;
    if (graceSeconds !== undefined) mark(object, nowMs + graceSeconds * 1000, graceSeconds);
  }
  setGarbageFinalizers(object, options, orphanedByDefault.has(`${type.group}/${type.resource}`));
  const held = (metadata.finalizers?.length ?? 0) > 0 || heldBySpec(object);
  if (held && !metadata.deletionTimestamp) mark(object, nowMs, 0);
  if (held && type.group === '' && type.resource === namespaces.resource)
    (object as { status?: { phase?: string } }).status = {
      ...(object as { status?: object }).status,
      phase: 'Terminating',
    };
  if (held || (graceSeconds ?? 0) > 0) return { kind: 'mark', object };
  return { kind: 'remove' };
}

function mark(object: KubeObject, atMs: number, graceSeconds: number): void {
  const metadata = object.metadata!;
  metadata.deletionTimestamp = formatTime(atMs);
  metadata.deletionGracePeriodSeconds = graceSeconds;
  if (metadata.generation) metadata.generation++;
}

function heldBySpec(object: KubeObject): boolean {
  if (object.kind !== 'Namespace') return false;
  return ((object as { spec?: { finalizers?: string[] } }).spec?.finalizers?.length ?? 0) > 0;
}

/** podStrategy.CheckGracefulDelete: nobody has to stop what never ran or has ended. */
function podGrace(pod: Pod, requested: number | undefined): number {
  if (!pod.spec?.nodeName || pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') return 0;
  const seconds = requested ?? pod.spec.terminationGracePeriodSeconds ?? 30;
  return seconds < 0 ? 1 : seconds;
}

/** The garbage collector finds what to do with the dependents in these finalizers. */
function setGarbageFinalizers(object: KubeObject, options: DeleteOptions, orphans: boolean): void {
  const metadata = object.metadata!;
  const before = metadata.finalizers ?? [];
  const { propagationPolicy, orphanDependents } = options;
  const explicit =
    propagationPolicy ?? (orphanDependents === true ? 'Orphan' : orphanDependents === false ? 'Background' : undefined);
  const asked = before.includes(orphanFinalizer)
    ? 'Orphan'
    : before.includes(foregroundFinalizer)
      ? 'Foreground'
      : undefined;
  const policy = explicit ?? asked ?? (orphans ? 'Orphan' : 'Background');
  const after = before.filter(name => name !== orphanFinalizer && name !== foregroundFinalizer);
  if (policy === 'Orphan') after.push(orphanFinalizer);
  if (policy === 'Foreground') after.push(foregroundFinalizer);
  if (after.length > 0) metadata.finalizers = after;
  else delete metadata.finalizers;
}

/** The Status that ends a deletion. */
function success({ definition: { type }, name }: ObjectRequest, entry: Entry): ObjectReply {
  return jsonReply({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { name, ...(type.group === '' ? {} : { group: type.group }), kind: type.resource, uid: entry.uid },
  });
}
