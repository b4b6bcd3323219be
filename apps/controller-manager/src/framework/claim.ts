import type { KubeObject, LabelMatcher, ResourceType, Stored } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { StatusError, isReason } from '@naru/foundation';
import { controllerOf, controllerReference } from './owner';

export interface ClaimOptions<T extends KubeObject, Owner extends KubeObject> {
  client: ObjectsClient;
  type: ResourceType<T>;
  ownerType: ResourceType<Owner>;
  owner: Stored<Owner>;
  /** The owner's selector on labels. */
  matches: LabelMatcher;
  /** What the owner controls, and what nobody controls in its namespace. */
  candidates: readonly Stored<T>[];
  /** Put on what is adopted. */
  finalizer?: string;
}

/**
 * Which of the candidates belong to the owner: those it controls and selects. Orphans that it selects are adopted, those
 * it controls and no longer selects are released. Source: upstream's ControllerRefManager.
 */
export async function claimObjects<T extends KubeObject, Owner extends KubeObject>(
  options: ClaimOptions<T, Owner>,
): Promise<Stored<T>[]> {
  const { owner, matches, candidates } = options;
  const claimed: Stored<T>[] = [];
  let allowed: Promise<void> | undefined;
  for (const object of candidates) {
    const controller = controllerOf(object);
    const selected = matches(object.metadata.labels);
    if (controller?.uid === owner.metadata.uid) {
      if (selected) claimed.push(object);
      else if (!owner.metadata.deletionTimestamp) await release(options, object);
    } else if (!controller && selected && !owner.metadata.deletionTimestamp && !object.metadata.deletionTimestamp) {
      allowed ??= assertMayAdopt(options);
      await allowed;
      if (await adopt(options, object)) claimed.push(object);
    }
  }
  return claimed;
}

/** Asks the api-server itself: the local copy of the owner may be of one that was deleted. */
async function assertMayAdopt<T extends KubeObject, Owner extends KubeObject>({
  client,
  ownerType,
  owner,
}: ClaimOptions<T, Owner>): Promise<void> {
  const { namespace, name, uid } = owner.metadata;
  const fresh = await client.get(ownerType, { namespace, name });
  if (fresh.metadata.uid !== uid || fresh.metadata.deletionTimestamp)
    throw new StatusError('Conflict', `${ownerType.kind} ${name} is gone: it cannot adopt`);
}

async function adopt<T extends KubeObject, Owner extends KubeObject>(
  { client, type, ownerType, owner, finalizer }: ClaimOptions<T, Owner>,
  object: Stored<T>,
): Promise<boolean> {
  const { namespace, name, uid } = object.metadata;
  const finalizers = finalizer ? { finalizers: [...(object.metadata.finalizers ?? []), finalizer] } : {};
  const metadata = { uid, ownerReferences: [controllerReference(ownerType, owner)], ...finalizers };
  return ifStillThere(client.patch(type, { namespace, name }, { type: 'strategic', body: { metadata } }));
}

async function release<T extends KubeObject, Owner extends KubeObject>(
  { client, type, owner }: ClaimOptions<T, Owner>,
  object: Stored<T>,
): Promise<boolean> {
  const { namespace, name, uid } = object.metadata;
  const metadata = { uid, ownerReferences: [{ $patch: 'delete', uid: owner.metadata.uid }] };
  return ifStillThere(client.patch(type, { namespace, name }, { type: 'strategic', body: { metadata } }));
}

/** False when the object went away meanwhile, or is another one of the same name. */
async function ifStillThere(write: Promise<unknown>): Promise<boolean> {
  try {
    await write;
    return true;
  } catch (error) {
    if (isReason(error, 'NotFound', 'Invalid', 'Conflict')) return false;
    throw error;
  }
}
