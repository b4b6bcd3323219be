import { apiVersionOf, type KubeObject, type OwnerReference, type ResourceType, type Stored } from '@naru/api';

/** The owner reference of the managing controller. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find(reference => reference.controller);
}

/** A reference that makes `owner` the controller, and delays its foreground deletion until the dependent is gone. */
export function controllerReference(type: ResourceType, owner: Stored<KubeObject>): OwnerReference {
  const { name, uid } = owner.metadata;
  return { apiVersion: apiVersionOf(type), kind: type.kind, name, uid, controller: true, blockOwnerDeletion: true };
}

/** The key of the controlling owner if it is of that kind: what a watch on dependents enqueues. */
export function ownerKeys(type: ResourceType): (object: KubeObject) => string[] {
  return object => {
    const reference = controllerOf(object);
    if (reference?.kind !== type.kind || reference.apiVersion.split('/')[0] !== apiVersionOf(type).split('/')[0])
      return [];
    const { namespace } = object.metadata ?? {};
    return [namespace ? `${namespace}/${reference.name}` : reference.name];
  };
}

/** Fills in the kind, which the objects of a list may not carry, for events about them. */
export function withKind<T extends KubeObject>(type: ResourceType<T>, object: Stored<T>): Stored<T> {
  return object.kind ? object : { ...object, apiVersion: apiVersionOf(type), kind: type.kind };
}
