import { nodes, pods, type Pod, type Stored } from '@naru/api';
import { objectKey, parseKey, type ReconcileResult } from '@naru/client';
import { formatTime, isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { withKind } from '../../framework/owner';
import { isFinished } from '../../pods/pod-state';
import { evictionTime } from './eviction-time';

/** Pod → since when it is known that it has to go later. */
type Sightings = Map<string, { uid: string; at: number }>;

async function reconcile(key: string, deps: ControllerDeps, sightings: Sightings): Promise<ReconcileResult> {
  const { informers, clock } = deps;
  const pod = informers.lister(pods).get(parseKey(key));
  const sighting = sightings.get(key);
  sightings.delete(key);
  if (!pod?.spec?.nodeName || pod.metadata.deletionTimestamp || isFinished(pod)) return undefined;
  const node = informers.lister(nodes).get({ name: pod.spec.nodeName });
  const { uid } = pod.metadata;
  const seenAt = sighting?.uid === uid ? sighting.at : clock.now();
  const at = evictionTime(pod, node?.spec?.taints ?? [], seenAt);
  if (at === undefined) return undefined;
  const waitMs = at - clock.now();
  if (waitMs > 0) {
    sightings.set(key, { uid, at: seenAt });
    return { requeueAfterMs: waitMs };
  }
  return evict(pod, deps);
}

async function evict(pod: Stored<Pod>, { client, clock, recorder }: ControllerDeps): Promise<void> {
  const { namespace, name, uid } = pod.metadata;
  recorder.record(withKind(pods, pod), {
    type: 'Normal',
    reason: 'TaintManagerEviction',
    message: `Marking for deletion Pod ${namespace ?? ''}/${name}`,
  });
  const condition = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'DeletionByTaintManager',
    message: 'Taint manager: deleting due to NoExecute taint',
    lastTransitionTime: formatTime(clock.now()),
  };
  try {
    const body = { metadata: { uid }, status: { conditions: [condition] } };
    await client.patch(pods, { namespace, name }, { type: 'strategic', body }, { subresource: 'status' });
    await client.delete(pods, { namespace, name }, { preconditions: { uid } });
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
  }
}

/** Deletes the pods that do not tolerate a NoExecute taint of their node, or only for a while. */
export const taintEvictionController: Controller = {
  name: 'taint-eviction-controller',
  concurrency: 16,
  watches: ({ informers }) => [
    watch(nodes, ({ metadata }) => informers.lister(pods).byIndex('node', metadata.name).map(objectKey), {
      relevant: (node, old) => JSON.stringify(node.spec?.taints) !== JSON.stringify(old.spec?.taints),
    }),
    watch(pods, pod => [objectKey(pod)], {
      relevant: (pod, old) =>
        pod.spec?.nodeName !== old.spec?.nodeName || pod.spec?.tolerations?.length !== old.spec?.tolerations?.length,
    }),
  ],
  build: deps => {
    const sightings: Sightings = new Map();
    return { reconcile: key => reconcile(key, deps, sightings) };
  },
};
