import {
  compileLabelSelector,
  pods,
  replicaSets,
  type LabelMatcher,
  type Pod,
  type ReplicaSet,
  type ReplicationController,
  type ResourceType,
  type Stored,
} from '@naru/api';
import { objectKey, parseKey, type ReconcileResult } from '@naru/client';
import { claimObjects } from '../../framework/claim';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { orphansOf, type ClusterInformers } from '../../framework/informers';
import { controllerOf, ownerKeys } from '../../framework/owner';
import { slowStart } from '../../framework/slow-start';
import { rankForDeletion } from '../../pods/deletion-rank';
import { PodControl, isNamespaceTerminating } from '../../pods/pod-control';
import { availableInMs, isActive } from '../../pods/pod-state';
import { PodDeletions } from '../../pods/pod-deletions';
import { replicaSetStatus, sameReplicaSetStatus } from './status';

/** Most pods created or deleted in one reconcile; the next one follows at once. */
const burst = 500;

/** ReplicaSets and the older ReplicationControllers differ in their selectors only. */
export interface ReplicaKind<T extends ReplicaSet | ReplicationController> {
  type: ResourceType<T>;
  matcher(set: T): LabelMatcher;
}

/** The set of a pod, or for an orphan all that select it. */
export function keysOfPod<T extends ReplicaSet | ReplicationController>(
  informers: ClusterInformers,
  { type, matcher }: ReplicaKind<T>,
): (pod: Stored<Pod>) => string[] {
  const sets = informers.lister(type);
  const owner = ownerKeys(type);
  return pod => {
    if (controllerOf(pod)) return owner(pod);
    const { namespace, labels } = pod.metadata;
    return sets
      .list(namespace)
      .filter(set => matcher(set)(labels))
      .map(set => objectKey(set));
  };
}

/** Keeps the number of pods of the sets of one kind. */
export class ReplicaReconciler<T extends ReplicaSet | ReplicationController> {
  private readonly deletions: PodDeletions;
  private readonly control: PodControl<T>;

  constructor(
    private readonly deps: ControllerDeps,
    private readonly kind: ReplicaKind<T>,
  ) {
    this.deletions = new PodDeletions(deps.informers.get(pods));
    this.control = new PodControl({ deps, ownerType: kind.type, deletions: this.deletions });
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const { informers, client, clock } = this.deps;
    const set = informers.lister(this.kind.type).get(parseKey(key));
    if (!set) return;
    const active = await this.activePods(set);
    const failure = set.metadata.deletionTimestamp ? undefined : await this.scale(set, active);
    const status = replicaSetStatus(set, active, failure?.condition, clock.now());
    if (!sameReplicaSetStatus(set.status, status)) {
      await client.update(this.kind.type, { ...set, status }, { subresource: 'status' });
    }
    if (failure) throw failure.error;
    return this.nextAvailability(set, active);
  }

  private async activePods(set: Stored<T>): Promise<Stored<Pod>[]> {
    const lister = this.deps.informers.lister(pods);
    const { uid, namespace } = set.metadata;
    const candidates = [...lister.byIndex('owner', uid), ...lister.byIndex('owner', orphansOf(namespace))];
    const claimed = await claimObjects({
      client: this.deps.client,
      type: pods,
      ownerType: this.kind.type,
      owner: set,
      matches: this.kind.matcher(set),
      candidates: candidates.filter(isActive),
    });
    return claimed.filter(pod => isActive(pod) && !this.deletions.has(pod.metadata.uid));
  }

  /** Creates or deletes pods and brings `active` up to date with it. Answers what went wrong. */
  private async scale(set: Stored<T>, active: Stored<Pod>[]) {
    const missing = (set.spec?.replicas ?? 1) - active.length;
    const template = set.spec?.template;
    if (missing > 0 && template) {
      const { error } = await slowStart(Math.min(missing, burst), async () => {
        active.push(await this.control.create(set, template));
      });
      if (error === undefined) {
        if (missing > burst) this.deps.enqueue(objectKey(set));
        return undefined;
      }
      if (isNamespaceTerminating(error)) return undefined;
      return { error, condition: { reason: 'FailedCreate' as const, message: (error as Error).message } };
    }
    if (missing < 0) {
      const victims = this.chooseVictims(set, active, Math.min(-missing, burst));
      const results = await Promise.allSettled(victims.map(pod => this.control.delete(set, pod)));
      const gone = new Set(victims.filter((_, i) => results[i]?.status === 'fulfilled'));
      active.splice(0, active.length, ...active.filter(pod => !gone.has(pod)));
      const failed = results.find(result => result.status === 'rejected');
      if (failed)
        return {
          error: failed.reason as unknown,
          condition: { reason: 'FailedDelete' as const, message: (failed.reason as Error).message },
        };
    }
    return undefined;
  }

  private chooseVictims(set: Stored<T>, active: readonly Stored<Pod>[], count: number): Stored<Pod>[] {
    if (count >= active.length) return [...active];
    const related = this.relatedPods(set);
    const crowd = new Map<string, number>();
    for (const { spec } of related) if (spec?.nodeName) crowd.set(spec.nodeName, (crowd.get(spec.nodeName) ?? 0) + 1);
    const ranked = rankForDeletion(active, pod => crowd.get(pod.spec?.nodeName ?? '') ?? 0, this.deps.clock.now());
    return ranked.slice(0, count);
  }

  /** The active pods of all sets of the same Deployment. */
  private relatedPods(set: Stored<T>): Stored<Pod>[] {
    const { informers } = this.deps;
    const owner = controllerOf(set);
    const sets = owner ? informers.lister(this.kind.type).byIndex('owner', owner.uid) : [set];
    const lister = informers.lister(pods);
    return sets.flatMap(({ metadata }) => lister.byIndex('owner', metadata.uid)).filter(isActive);
  }

  /** Becoming available is no event: look again when the first pod has been ready for long enough. */
  private nextAvailability(set: T, active: readonly Pod[]): ReconcileResult {
    const minReadySeconds = set.spec?.minReadySeconds ?? 0;
    if (minReadySeconds === 0) return undefined;
    const waits = active
      .map(pod => availableInMs(pod, minReadySeconds, this.deps.clock.now()))
      .filter((ms): ms is number => ms !== undefined && ms > 0);
    return waits.length > 0 ? { requeueAfterMs: Math.min(...waits) + 1 } : undefined;
  }
}

const replicaSetKind: ReplicaKind<ReplicaSet> = {
  type: replicaSets,
  matcher: set => compileLabelSelector(set.spec?.selector),
};

/** Keeps as many pods of a template as asked for. */
export const replicaSetController: Controller = {
  name: 'replicaset-controller',
  watches: ({ informers }) => [
    watch(replicaSets, set => [objectKey(set)]),
    watch(pods, keysOfPod(informers, replicaSetKind)),
  ],
  build(deps) {
    const reconciler = new ReplicaReconciler(deps, replicaSetKind);
    return { reconcile: key => reconciler.reconcile(key) };
  },
};
