import {
  claimNameOf,
  isEphemeralClaimOf,
  persistentVolumeClaims,
  pods,
  type Pod,
  type Stored,
  type Volume,
} from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { controllerOf, controllerReference, withKind } from '../../framework/owner';
import { isNamespaceTerminating } from '../../pods/pod-control';

async function ensureClaim(
  pod: Stored<Pod>,
  volume: Volume,
  { client, informers, recorder }: ControllerDeps,
): Promise<void> {
  const { namespace } = pod.metadata;
  const name = claimNameOf(pod, volume) ?? '';
  const present = informers.lister(persistentVolumeClaims).get({ namespace, name });
  if (present && isEphemeralClaimOf(pod, present)) return;
  try {
    if (present)
      throw new Error(
        `PVC ${namespace}/${name} was not created for pod ${namespace}/${pod.metadata.name} (pod is not owner)`,
      );
    const { metadata, spec } = volume.ephemeral?.volumeClaimTemplate ?? {};
    await client.create(persistentVolumeClaims, {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: {
        namespace,
        name,
        ...(metadata?.labels ? { labels: metadata.labels } : {}),
        ...(metadata?.annotations ? { annotations: metadata.annotations } : {}),
        ownerReferences: [controllerReference(pods, pod)],
      },
      ...(spec ? { spec } : {}),
    });
  } catch (error) {
    // Our copy is behind: its event brings the pod back.
    if (isReason(error, 'AlreadyExists') || isNamespaceTerminating(error)) return;
    const message = `ephemeral volume ${volume.name}: ${(error as Error).message}`;
    recorder.record(withKind(pods, pod), { type: 'Warning', reason: 'EphemeralVolumeCreationFailed', message });
    throw error;
  }
}

async function reconcile(key: string, deps: ControllerDeps): Promise<void> {
  const pod = deps.informers.lister(pods).get(parseKey(key));
  if (!pod || pod.metadata.deletionTimestamp) return;
  for (const volume of pod.spec?.volumes ?? []) if (volume.ephemeral) await ensureClaim(pod, volume, deps);
}

/** Makes the claims of generic ephemeral volumes; the garbage collector takes them away with their pods. */
export const ephemeralVolumeController: Controller = {
  name: 'ephemeral-volume-controller',
  eventSource: 'ephemeral_volume',
  watches: ({ informers }) => [
    watch(pods, pod => (pod.spec?.volumes?.some(volume => volume.ephemeral) ? [objectKey(pod)] : []), {
      relevant: () => false,
    }),
    // A claim that went, or that stood in the way.
    watch(persistentVolumeClaims, claim => {
      const owner = controllerOf(claim);
      if (owner?.kind === 'Pod') return [`${claim.metadata.namespace ?? ''}/${owner.name}`];
      return informers.lister(pods).byIndex('claim', objectKey(claim)).map(objectKey);
    }),
  ],
  build: deps => ({ reconcile: key => reconcile(key, deps) }),
};
