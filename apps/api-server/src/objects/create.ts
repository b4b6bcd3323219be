import { randomUUID } from 'node:crypto';
import { StatusError, formatTime } from '@naru/foundation';
import { apiVersionOf, generateName, invalidObject, trackCreate, type KubeObject } from '@naru/api';
import type { AdmissionRequest } from '../admission/plugin';
import { encodeToFit } from '../storage/codec';
import { admissionRequest } from './admission-request';
import { alreadyExists, badRequest } from './failures';
import { hooksOf, type ObjectDeps } from './deps';
import { writerOf } from './field-tracking';
import { presentBytes, readyToPresent } from './present';
import { warn, type ObjectReply, type ObjectRequest } from './request';

/** A generated name may be taken; upstream gives up after 8 tries. */
const maxGeneratedNames = 8;
/** What an object was given may have gone to another one meanwhile, by way of another api-server. */
const maxLostClaims = 16;

/** Creates what has been decoded already. `tracked`: metadata.managedFields says already who owns what. */
export async function createObject(
  deps: ObjectDeps,
  request: ObjectRequest,
  wanted: KubeObject,
  { tracked = false } = {},
): Promise<ObjectReply> {
  const { definition } = request;
  const { strategy, type } = definition;
  checkPlace(request, wanted);
  const admission = admissionRequest({ ...request, name: wanted.metadata?.name ?? '' }, 'create', { object: wanted });
  strategy.applyDefaults(wanted);
  // Before admission, as upstream: what the server adds belongs to nobody.
  if (!tracked) trackCreate(wanted, writerOf(deps, request));
  await deps.admission.admit(admission);
  const object = admission.object!;
  if (object !== wanted) checkPlace(request, object);
  const metadata = object.metadata!;
  metadata.uid = randomUUID();
  metadata.creationTimestamp = formatTime(deps.clock.now());
  delete metadata.resourceVersion;
  delete metadata.selfLink;
  delete metadata.deletionTimestamp;
  delete metadata.deletionGracePeriodSeconds;
  strategy.completeForCreate?.(object);
  const generated = !metadata.name && metadata.generateName;
  for (let attempt = 1; ; attempt++) {
    if (generated) metadata.name = generateName(generated);
    // After the name: a Job labels its pods with it.
    strategy.prepareForCreate(object);
    const errors = strategy.validateCreate(object);
    if (errors.length > 0) throw invalidObject(type, metadata.name ?? '', errors);
    const reply = await storeNew(deps, request, object, admission, tracked);
    if (reply) return reply;
    if (!generated || attempt === maxGeneratedNames) throw alreadyExists(type, metadata.name ?? '');
  }
}

async function storeNew(
  deps: ObjectDeps,
  request: ObjectRequest,
  object: KubeObject,
  admission: AdmissionRequest,
  isApply: boolean,
): Promise<ObjectReply | undefined> {
  const { definition } = request;
  const { storage } = deps;
  const name = object.metadata?.name ?? '';
  for (let attempt = 0; attempt < maxLostClaims; attempt++) {
    if (storage.cache(definition).get(request.namespace, name)) return undefined;
    const reply = await tryStoreNew(deps, request, object, admission, isApply);
    if (reply) return reply;
  }
  throw new StatusError('ServerTimeout', 'what the object needs was taken by others again and again', {
    details: { retryAfterSeconds: 1 },
  });
}

async function tryStoreNew(
  deps: ObjectDeps,
  request: ObjectRequest,
  object: KubeObject,
  admission: AdmissionRequest,
  isApply: boolean,
): Promise<ObjectReply | undefined> {
  const { definition } = request;
  const { storage } = deps;
  const name = object.metadata?.name ?? '';
  const reservation = hooksOf(deps, definition)?.beginCreate?.(object, request);
  let kept = false;
  try {
    await deps.admission.validate({ ...admission, name });
    warn(request, definition.strategy.warnings?.(object));
    if (request.dryRun) return { code: 201, bytes: encodeToFit(object, { owned: isApply }) };
    const stored = definition.storedAs ? await definition.storedAs.toStored(object) : object;
    const committed = await storage.commit({
      definition: storage.storedDefinition(definition),
      namespace: request.namespace,
      name,
      object: stored,
      value: encodeToFit(stored, { owned: isApply }),
      expected: 0,
      claims: reservation?.claims,
    });
    if (!committed) return undefined;
    kept = true;
    await readyToPresent(definition, [committed.bytes], request.signal);
    return { code: 201, bytes: presentBytes(definition, committed.bytes) };
  } finally {
    if (!kept) reservation?.rollback();
  }
}

function checkPlace(request: ObjectRequest, object: KubeObject): void {
  const { definition, namespace } = request;
  const metadata = (object.metadata ??= {});
  if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
  if (definition.type.namespaced) {
    metadata.namespace ||= namespace;
    if (metadata.namespace !== namespace)
      throw badRequest('the namespace of the provided object does not match the namespace sent on the request');
  } else delete metadata.namespace;
  object.apiVersion = apiVersionOf(definition.type);
  object.kind = definition.type.kind;
}
