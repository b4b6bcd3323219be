import {
  compileLabelSelector,
  controllerRevisions,
  persistentVolumeClaims,
  pods,
  statefulSets,
  type Pod,
  type StatefulSet,
  type Stored,
} from '@naru/api';
import { objectKey, parseKey, type ReconcileResult } from '@naru/client';
import { equalJson } from '../../framework/canonical';
import { claimObjects } from '../../framework/claim';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { orphansOf, type ClusterInformers } from '../../framework/informers';
import { controllerOf, ownerKeys } from '../../framework/owner';
import { slowStart } from '../../framework/slow-start';
import { RevisionHistory, type History, type Revision } from '../../history/revision-history';
import { PodControl, isNamespaceTerminating } from '../../pods/pod-control';
import { availableInMs } from '../../pods/pod-state';
import { PodDeletions } from '../../pods/pod-deletions';
import { SetClaims } from './claims';
import { giveIdentity, ordinalOf, revisionOfPod, templateOf } from './identity';
import { condemnedPods, planSet, wantsCurrentRevision, type SetPlan, type SetView } from './plan';
import { statefulSetStatus } from './status';

class StatefulSetReconciler {
  private readonly deletions: PodDeletions;
  private readonly control: PodControl<StatefulSet>;
  private readonly history: RevisionHistory<StatefulSet>;
  private readonly claims: SetClaims;

  constructor(private readonly deps: ControllerDeps) {
    this.deletions = new PodDeletions(deps.informers.get(pods));
    this.control = new PodControl({ deps, ownerType: statefulSets, deletions: this.deletions });
    this.history = new RevisionHistory(deps, statefulSets);
    this.claims = new SetClaims(deps);
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const set = this.deps.informers.lister(statefulSets).get(parseKey(key));
    if (!set) return undefined;
    const own = await this.podsOf(set);
    if (set.metadata.deletionTimestamp) return undefined;
    const history = await this.history.sync(set, {
      matches: compileLabelSelector(set.spec?.selector),
      template: set.spec?.template,
      collisionCount: set.status?.collisionCount,
    });
    const current =
      history.all.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? history.current;
    const view: SetView = {
      set,
      pods: own,
      currentRevision: current.metadata.name,
      updateRevision: history.current.metadata.name,
      isDeleted: uid => this.deletions.has(uid),
      now: this.deps.clock.now(),
    };
    await this.keepClaims(view);
    const { created, error } = await this.execute(view, planSet(view), { current, update: history.current });
    const after = { ...view, pods: [...own, ...created] };
    await this.write(set, after, history);
    await this.prune(after, history);
    if (error !== undefined && !isNamespaceTerminating(error)) throw error;
    return this.nextAvailability(after);
  }

  private async podsOf(set: Stored<StatefulSet>): Promise<Stored<Pod>[]> {
    const lister = this.deps.informers.lister(pods);
    const { uid, namespace } = set.metadata;
    const candidates = [...lister.byIndex('owner', uid), ...lister.byIndex('owner', orphansOf(namespace))];
    return claimObjects({
      client: this.deps.client,
      type: pods,
      ownerType: statefulSets,
      owner: set,
      matches: compileLabelSelector(set.spec?.selector),
      candidates: candidates.filter(pod => ordinalOf(set, pod) !== undefined),
    });
  }

  private async keepClaims(view: SetView): Promise<void> {
    const { set } = view;
    if (!set.spec?.volumeClaimTemplates?.length) return;
    const condemned = new Set(condemnedPods(view));
    for (const pod of view.pods) {
      const ordinal = ordinalOf(set, pod);
      if (ordinal === undefined) continue;
      if ((pod.status?.phase ?? 'Pending') === 'Pending' && !condemned.has(pod)) await this.claims.ensure(set, ordinal);
      await this.claims.retain(set, pod, condemned.has(pod));
    }
  }

  private async execute(view: SetView, plan: SetPlan, revisions: { current: Revision; update: Revision }) {
    const { set } = view;
    const created: Stored<Pod>[] = [];
    const deleted = await Promise.allSettled(plan.delete.map(pod => this.control.delete(set, pod)));
    const { error } = await slowStart(plan.create.length, async at => {
      const ordinal = plan.create[at] as number;
      const revision = wantsCurrentRevision(set, ordinal) ? revisions.current : revisions.update;
      await this.claims.ensure(set, ordinal);
      const draft = giveIdentity(set, ordinal, revision);
      created.push(await this.control.create(set, templateOf(revision), draft));
    });
    return { created, error: error ?? deleted.find(result => result.status === 'rejected')?.reason };
  }

  private async write(set: Stored<StatefulSet>, view: SetView, { collisionCount }: History): Promise<void> {
    const status = statefulSetStatus(view, collisionCount);
    if (equalJson(status, set.status)) return;
    await this.deps.client.update(statefulSets, { ...set, status }, { subresource: 'status' });
  }

  private async prune(view: SetView, { all, current }: History): Promise<void> {
    const live = new Set([
      current.metadata.name,
      view.currentRevision,
      this.deps.informers.lister(statefulSets).get(view.set.metadata)?.status?.currentRevision,
      ...view.pods.map(revisionOfPod),
    ]);
    const isLive = ({ metadata }: Revision): boolean => live.has(metadata.name);
    await this.history.prune(all, isLive, view.set.spec?.revisionHistoryLimit ?? 10);
  }

  /** Becoming available is no event. */
  private nextAvailability({ set, pods: own, now }: SetView): ReconcileResult {
    const minReadySeconds = set.spec?.minReadySeconds ?? 0;
    const waits = own.map(pod => availableInMs(pod, minReadySeconds, now)).filter(ms => ms !== undefined && ms > 0);
    return waits.length > 0 ? { requeueAfterMs: Math.min(...(waits as number[])) + 1 } : undefined;
  }
}

/** The set of a pod, or for an orphan all that select it. */
function keysOfPod(informers: ClusterInformers): (pod: Stored<Pod>) => string[] {
  const sets = informers.lister(statefulSets);
  const owner = ownerKeys(statefulSets);
  return pod => {
    if (controllerOf(pod)) return owner(pod);
    const { namespace, labels } = pod.metadata;
    return sets
      .list(namespace)
      .filter(set => compileLabelSelector(set.spec?.selector)(labels))
      .map(set => objectKey(set));
  };
}

/** Pods with an identity of their own: names, host names, claims, and an order. */
export const statefulSetController: Controller = {
  name: 'statefulset-controller',
  watches: ({ informers }) => {
    // Only read, never a reason to look.
    informers.get(persistentVolumeClaims);
    return [
      watch(statefulSets, set => [objectKey(set)]),
      watch(pods, keysOfPod(informers)),
      watch(controllerRevisions, ownerKeys(statefulSets)),
    ];
  },
  build(deps) {
    const reconciler = new StatefulSetReconciler(deps);
    return { reconcile: key => reconciler.reconcile(key) };
  },
};
