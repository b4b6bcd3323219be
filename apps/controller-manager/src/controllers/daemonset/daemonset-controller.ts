import {
  compileLabelSelector,
  controllerRevisions,
  daemonSets,
  nodes,
  pods,
  type DaemonSet,
  type Node,
  type Pod,
  type Stored,
} from '@naru/api';
import { objectKey, parseKey, type ReconcileResult } from '@naru/client';
import { BackOff } from '../../framework/back-off';
import { equalJson } from '../../framework/canonical';
import { claimObjects } from '../../framework/claim';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { orphansOf, type ClusterInformers } from '../../framework/informers';
import { controllerOf, ownerKeys, withKind } from '../../framework/owner';
import { slowStart } from '../../framework/slow-start';
import { hashOf, revisionHashLabel, RevisionHistory, type History } from '../../history/revision-history';
import { PodControl, isNamespaceTerminating } from '../../pods/pod-control';
import { availableInMs } from '../../pods/pod-state';
import { PodDeletions } from '../../pods/pod-deletions';
import { daemonState, type DaemonState } from './daemon-state';
import { daemonPodSpec } from './node-fit';
import { planPods, planRollingUpdate, type Plan } from './plan';
import { daemonSetStatus } from './status';

/** Most pods created or deleted in one reconcile; the next one follows at once. Upstream's BurstReplicas. */
const burst = 250;

class DaemonSetReconciler {
  private readonly deletions: PodDeletions;
  private readonly control: PodControl<DaemonSet>;
  private readonly history: RevisionHistory<DaemonSet>;
  private readonly failures = new BackOff({ baseMs: 1_000, maxMs: 15 * 60_000 });

  constructor(private readonly deps: ControllerDeps) {
    this.deletions = new PodDeletions(deps.informers.get(pods));
    this.control = new PodControl({ deps, ownerType: daemonSets, deletions: this.deletions });
    this.history = new RevisionHistory(deps, daemonSets);
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const { informers, clock } = this.deps;
    const set = informers.lister(daemonSets).get(parseKey(key));
    // The history of a set that is being deleted may be gone already: nothing sensible can be done.
    if (!set || set.metadata.deletionTimestamp) return undefined;
    const matches = compileLabelSelector(set.spec?.selector);
    const history = await this.history.sync(set, {
      matches,
      template: set.spec?.template,
      collisionCount: set.status?.collisionCount,
    });
    const state = daemonState({
      set,
      hash: hashOf(history.current),
      nodes: informers.lister(nodes).list(),
      pods: await this.podsOf(set),
      isDeleted: uid => this.deletions.has(uid),
      now: clock.now(),
    });
    const { waitMs, error } = await this.act(state);
    await this.prune(state, history);
    const status = daemonSetStatus(state, history.collisionCount);
    if (!equalJson(status, set.status))
      await this.deps.client.update(daemonSets, { ...set, status }, { subresource: 'status' });
    if (error !== undefined && !isNamespaceTerminating(error)) throw error;
    return this.nextLook(state, waitMs);
  }

  private async podsOf(set: Stored<DaemonSet>): Promise<Stored<Pod>[]> {
    const lister = this.deps.informers.lister(pods);
    const { uid, namespace } = set.metadata;
    return claimObjects({
      client: this.deps.client,
      type: pods,
      ownerType: daemonSets,
      owner: set,
      matches: compileLabelSelector(set.spec?.selector),
      candidates: [...lister.byIndex('owner', uid), ...lister.byIndex('owner', orphansOf(namespace))],
    });
  }

  private async act(state: DaemonState): Promise<{ waitMs: number[]; error?: unknown }> {
    let plan = planPods(state);
    const idle = plan.create.length === 0 && plan.delete.length === 0;
    if (idle && state.set.spec?.updateStrategy?.type !== 'OnDelete') plan = planRollingUpdate(state);
    const waitMs = this.holdBack(state, plan);
    return { waitMs, error: await this.execute(state, plan) };
  }

  /** A pod that keeps failing on a node is not replaced at full speed. Takes such pods out of the plan. */
  private holdBack({ set, hash }: DaemonState, plan: Plan): number[] {
    const waits: number[] = [];
    plan.delete = plan.delete.filter(pod => {
      if (!plan.ended.has(pod)) return true;
      if (pod.status?.phase === 'Failed') {
        const id = `${set.metadata.uid}/${hash}/${pod.spec?.nodeName ?? ''}`;
        const wait = this.failures.next(id, this.deps.clock.now());
        if (wait > 0) {
          waits.push(wait);
          return false;
        }
      }
      this.tellEnd(set, pod);
      return true;
    });
    return waits;
  }

  private tellEnd(set: Stored<DaemonSet>, { metadata, spec, status }: Stored<Pod>): void {
    const failed = status?.phase === 'Failed';
    const where = `${metadata.namespace ?? ''}/${metadata.name} on node ${spec?.nodeName ?? ''}`;
    this.deps.recorder.record(withKind(daemonSets, set), {
      type: failed ? 'Warning' : 'Normal',
      reason: failed ? 'FailedDaemonPod' : 'SucceededDaemonPod',
      message: failed
        ? `Found failed daemon pod ${where}, will try to kill it`
        : `Found succeeded daemon pod ${where}, will try to delete it`,
    });
  }

  /** Answers the first thing that went wrong. */
  private async execute({ set, hash }: DaemonState, plan: Plan): Promise<unknown> {
    const template = set.spec?.template;
    const [create, remove] = [plan.create.slice(0, burst), plan.delete.slice(0, burst)];
    if (create.length < plan.create.length || remove.length < plan.delete.length) this.deps.enqueue(objectKey(set));
    const deleted = await Promise.allSettled(remove.map(pod => this.control.delete(set, pod)));
    const created = await slowStart(create.length, async index => {
      if (!template?.spec) return;
      const spec = daemonPodSpec(template.spec, create[index] as string);
      await this.control.create(set, template, pod => {
        pod.spec = spec;
        pod.metadata = {
          ...pod.metadata,
          labels: { ...pod.metadata?.labels, [revisionHashLabel]: hash, ...generationLabel(set) },
        };
      });
    });
    return created.error ?? deleted.find(result => result.status === 'rejected')?.reason;
  }

  private async prune(state: DaemonState, { all, current }: History): Promise<void> {
    const live = new Set(
      state.nodes.flatMap(({ pods: onNode }) => onNode.map(pod => pod.metadata.labels?.[revisionHashLabel])),
    );
    const isLive = (revision: History['current']): boolean => revision === current || live.has(hashOf(revision));
    await this.history.prune(all, isLive, state.set.spec?.revisionHistoryLimit ?? 10);
  }

  /** Becoming available is no event, nor is the end of a back-off. */
  private nextLook(state: DaemonState, waits: number[]): ReconcileResult {
    const minReadySeconds = state.set.spec?.minReadySeconds ?? 0;
    const now = this.deps.clock.now();
    const all = minReadySeconds === 0 ? [] : state.nodes.flatMap(({ pods: onNode }) => onNode);
    for (const pod of all) {
      const ms = availableInMs(pod, minReadySeconds, now);
      if (ms) waits.push(ms);
    }
    return waits.length > 0 ? { requeueAfterMs: Math.min(...waits) + 1 } : undefined;
  }
}

/** For clients that still know DaemonSets by the number of their template. */
function generationLabel({ metadata }: Stored<DaemonSet>): Record<string, string> {
  const generation = metadata.annotations?.['deprecated.daemonset.template.generation'];
  return generation ? { 'pod-template-generation': generation } : {};
}

/** The set of a pod, or for an orphan all that select it. */
function keysOfPod(informers: ClusterInformers): (pod: Stored<Pod>) => string[] {
  const sets = informers.lister(daemonSets);
  const owner = ownerKeys(daemonSets);
  return pod => {
    if (controllerOf(pod)) return owner(pod);
    const { namespace, labels } = pod.metadata;
    return sets
      .list(namespace)
      .filter(set => compileLabelSelector(set.spec?.selector)(labels))
      .map(set => objectKey(set));
  };
}

/** Heartbeats and images change a node all the time and do not matter. */
export function changesFit(node: Node, old: Node): boolean {
  return !equalJson(node.metadata?.labels, old.metadata?.labels) || !equalJson(node.spec?.taints, old.spec?.taints);
}

/** Keeps one pod of a template on every node that it is for. */
export const daemonSetController: Controller = {
  name: 'daemonset-controller',
  watches: ({ informers }) => [
    watch(daemonSets, set => [objectKey(set)]),
    watch(pods, keysOfPod(informers)),
    watch(controllerRevisions, ownerKeys(daemonSets)),
    watch(
      nodes,
      () =>
        informers
          .lister(daemonSets)
          .list()
          .map(set => objectKey(set)),
      { relevant: changesFit },
    ),
  ],
  build(deps) {
    const reconciler = new DaemonSetReconciler(deps);
    return { reconcile: key => reconciler.reconcile(key) };
  },
};
