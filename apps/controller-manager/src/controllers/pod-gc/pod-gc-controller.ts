import { nodes, pods, type Node, type Pod, type Stored } from '@naru/api';
import type { ReconcileResult } from '@naru/client';
import { formatTime, isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { isFinished } from '../../pods/pod-state';
import { outOfServiceTaint, readyStatus } from '../node-lifecycle/taints';

/** The one key: a round over all pods. Events only bring the next round nearer. */
const round = 'round';
const periodMs = 20_000;
/** Events of a burst share a round. */
const settleMs = 200;

/** Why a pod is to be removed by force. Undefined: it is not. */
export type Garbage = 'finished' | 'unscheduled' | 'out-of-service' | 'orphaned';

/** What of the pods is garbage as seen in the local copies; that the node of an orphan is gone must be asked yet. */
export function findGarbage(
  allPods: readonly Stored<Pod>[],
  getNode: (name: string) => Node | undefined,
  terminatedThreshold: number,
): Map<Stored<Pod>, Garbage> {
  const garbage = new Map<Stored<Pod>, Garbage>();
  const finished = allPods.filter(pod => isFinished(pod) && !pod.metadata.deletionTimestamp);
  const surplus = terminatedThreshold > 0 ? finished.length - terminatedThreshold : 0;
  if (surplus > 0) {
    const age = (pod: Stored<Pod>): string => pod.metadata.creationTimestamp ?? '';
    const oldest = finished.sort((a, b) => (age(a) < age(b) ? -1 : 1)).slice(0, surplus);
    for (const pod of oldest) garbage.set(pod, 'finished');
  }
  for (const pod of allPods) {
    const nodeName = pod.spec?.nodeName;
    const terminating = !!pod.metadata.deletionTimestamp;
    if (!nodeName) {
      if (terminating) garbage.set(pod, 'unscheduled');
      continue;
    }
    const node = getNode(nodeName);
    if (!node) garbage.set(pod, 'orphaned');
    else if (
      terminating &&
      readyStatus(node) !== 'True' &&
      node.spec?.taints?.some(({ key }) => key === outOfServiceTaint)
    )
      garbage.set(pod, 'out-of-service');
  }
  return garbage;
}

class PodGarbageCollector {
  /** Node name → since when it is known to be gone. */
  private readonly goneSince = new Map<string, number>();

  constructor(private readonly deps: ControllerDeps) {
    deps.enqueue(round, 1_000);
  }

  async reconcile(): Promise<ReconcileResult> {
    const { informers, config } = this.deps;
    const getNode = (name: string): Node | undefined => informers.lister(nodes).get({ name });
    const garbage = findGarbage(informers.lister(pods).list(), getNode, config.terminatedPodGcThreshold);
    const orphanNodes = new Set<string>();
    for (const [pod, why] of garbage) if (why === 'orphaned') orphanNodes.add(pod.spec?.nodeName ?? '');
    const gone = await this.confirmGone(orphanNodes);
    for (const [pod, why] of garbage) {
      if (why !== 'orphaned' || gone.has(pod.spec?.nodeName ?? '')) await this.remove(pod, why);
    }
    const waiting = orphanNodes.size > gone.size;
    return { requeueAfterMs: waiting ? Math.max(config.orphanedPodGraceMs / 4, settleMs) : periodMs };
  }

  /** Those that have been gone for long enough by our copy, and are gone by the api-server's own word. */
  private async confirmGone(names: ReadonlySet<string>): Promise<Set<string>> {
    const { clock, config, client } = this.deps;
    for (const name of this.goneSince.keys()) if (!names.has(name)) this.goneSince.delete(name);
    const confirmed = new Set<string>();
    for (const name of names) {
      const since = this.goneSince.get(name) ?? clock.now();
      this.goneSince.set(name, since);
      if (clock.now() - since < config.orphanedPodGraceMs) continue;
      const exists = await client.get(nodes, { name }).then(
        () => true,
        (error: unknown) => {
          if (isReason(error, 'NotFound')) return false;
          throw error;
        },
      );
      if (exists) this.goneSince.delete(name);
      else confirmed.add(name);
    }
    return confirmed;
  }

  private async remove(pod: Stored<Pod>, why: Garbage): Promise<void> {
    const { client, clock, logger } = this.deps;
    const { namespace, name, uid } = pod.metadata;
    logger.info({ namespace, name, uid, node: pod.spec?.nodeName, why }, 'removing pod');
    try {
      // Who waits for the end of the pod shall see one.
      if (!isFinished(pod) && why !== 'unscheduled') {
        const condition = {
          type: 'DisruptionTarget',
          status: 'True',
          reason: 'DeletionByPodGC',
          message: why === 'orphaned' ? 'PodGC: node no longer exists' : 'PodGC: node is out of service',
          lastTransitionTime: formatTime(clock.now()),
        };
        const body = { metadata: { uid }, status: { phase: 'Failed', conditions: [condition] } };
        await client.patch(pods, { namespace, name }, { type: 'strategic', body }, { subresource: 'status' });
      }
      await client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
    } catch (error) {
      if (!isReason(error, 'NotFound', 'Conflict')) throw error;
    }
  }
}

/** Removes pods that nobody else will: of nodes that are gone, never scheduled and terminating, too many finished. */
export const podGcController: Controller = {
  name: 'pod-garbage-collector-controller',
  concurrency: 1,
  watches: () => [
    watch(nodes, () => [round], { relevant: () => false }),
    watch(pods, ({ spec, metadata }) => (!spec?.nodeName && metadata.deletionTimestamp ? [round] : [])),
  ],
  build(deps) {
    const collector = new PodGarbageCollector(deps);
    return { reconcile: () => collector.reconcile() };
  },
};
