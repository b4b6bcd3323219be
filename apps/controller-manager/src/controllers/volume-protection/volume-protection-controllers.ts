import {
  claimNamesOf,
  isEphemeralClaimOf,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  type KubeObject,
  type PersistentVolumeClaim,
  type Pod,
  type ResourceType,
  type Stored,
} from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';

interface Protection<T extends KubeObject> {
  type: ResourceType<T>;
  finalizer: string;
  isInUse(object: Stored<T>): Promise<boolean>;
}

/** The finalizer is on every object, and goes when a deleted one is no longer in use. */
async function protect<T extends KubeObject>(
  key: string,
  { type, finalizer, isInUse }: Protection<T>,
  { client, informers }: ControllerDeps,
): Promise<void> {
  const object = informers.lister(type).get(parseKey(key));
  if (!object) return;
  const { deletionTimestamp, finalizers = [] } = object.metadata;
  const held = finalizers.includes(finalizer);
  if (held === !deletionTimestamp || (deletionTimestamp && (await isInUse(object)))) return;
  const next = held ? finalizers.filter(entry => entry !== finalizer) : [...finalizers, finalizer];
  await client.update(type, { ...object, metadata: { ...object.metadata, finalizers: next } });
}

/** By a pod that has a node: others will not be started with a claim that is being deleted. */
function uses(pod: Stored<Pod>, claim: Stored<PersistentVolumeClaim>): boolean {
  if (!pod.spec?.nodeName) return false;
  const { name } = claim.metadata;
  if (pod.spec.volumes?.some(volume => volume.persistentVolumeClaim?.claimName === name)) return true;
  const { deletionTimestamp, deletionGracePeriodSeconds } = pod.metadata;
  const isShutDown = deletionTimestamp && deletionGracePeriodSeconds === 0;
  return !isShutDown && claimNamesOf(pod).includes(name) && isEphemeralClaimOf(pod, claim);
}

/** Keeps claims that pods use from being deleted. */
export const pvcProtectionController: Controller = {
  name: 'persistentvolumeclaim-protection-controller',
  watches: () => [
    watch(persistentVolumeClaims, claim => [objectKey(claim)]),
    watch(pods, pod => claimNamesOf(pod).map(name => `${pod.metadata.namespace ?? ''}/${name}`)),
  ],
  build(deps) {
    const isInUse = async (claim: Stored<PersistentVolumeClaim>): Promise<boolean> => {
      const { namespace } = claim.metadata;
      if (
        deps.informers
          .lister(pods)
          .list(namespace)
          .some(pod => uses(pod, claim))
      )
        return true;
      // Our copy may be behind, and what is deleted is lost: ask the api-server itself.
      const { items } = await deps.client.list(pods, { namespace });
      return items.some(pod => uses(pod, claim));
    };
    const protection = { type: persistentVolumeClaims, finalizer: 'kubernetes.io/pvc-protection', isInUse };
    return { reconcile: key => protect(key, protection, deps) };
  },
};

/** Keeps volumes that are bound from being deleted. */
export const pvProtectionController: Controller = {
  name: 'persistentvolume-protection-controller',
  watches: () => [watch(persistentVolumes, volume => [objectKey(volume)])],
  build(deps) {
    const protection: Protection<Stored<KubeObject> & { status?: { phase?: string } }> = {
      type: persistentVolumes as ResourceType<never>,
      finalizer: 'kubernetes.io/pv-protection',
      isInUse: async ({ status }) => status?.phase === 'Bound',
    };
    return { reconcile: key => protect(key, protection, deps) };
  },
};
