import {
  compileLabelSelector,
  deployments,
  pods,
  replicaSets,
  type Deployment,
  type Pod,
  type ReplicaSet,
  type Stored,
} from '@naru/api';
import { objectKey, parseKey, type ReconcileResult } from '@naru/client';
import { isReason } from '@naru/foundation';
import { equalJson } from '../../framework/canonical';
import { claimObjects } from '../../framework/claim';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { orphansOf, type ClusterInformers } from '../../framework/informers';
import { controllerOf, ownerKeys, withKind } from '../../framework/owner';
import { isFinished } from '../../pods/pod-state';
import { ReplicaSetControl, type Sets } from './replica-set-control';
import { byRevision, desiredAnnotation, maxAnnotation, setsToPrune } from './revision';
import { desiredOf, newSetSize, replicasOf, scaleProportionally, shrinkOldSets, type Scaling } from './rolling-update';
import {
  calculateStatus,
  conditionOf,
  deadlineInMs,
  isComplete,
  judgeProgress,
  progressDeadlineMs,
  setCondition,
  type DeploymentStatus,
} from './status';

/** Pods matter only to Recreate, which waits for the old ones to be gone; those Deployments only are told. */
function keysOfPod(informers: ClusterInformers): (pod: Stored<Pod>) => string[] {
  const sets = informers.lister(replicaSets);
  const deploymentLister = informers.lister(deployments);
  return pod => {
    const reference = controllerOf(pod);
    if (reference?.kind !== 'ReplicaSet') return [];
    const set = sets.get({ namespace: pod.metadata.namespace, name: reference.name });
    const keys = set ? ownerKeys(deployments)(set) : [];
    return keys.filter(key => deploymentLister.get(parseKey(key))?.spec?.strategy?.type === 'Recreate');
  };
}

class DeploymentReconciler {
  private readonly control: ReplicaSetControl;

  constructor(private readonly deps: ControllerDeps) {
    this.control = new ReplicaSetControl(deps);
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const deployment = this.deps.informers.lister(deployments).get(parseKey(key));
    if (!deployment) return undefined;
    if (isEmptySelector(deployment)) {
      this.deps.recorder.record(withKind(deployments, deployment), {
        type: 'Warning',
        reason: 'SelectingAll',
        message: 'This deployment is selecting all pods. A non-empty selector is required.',
      });
      return undefined;
    }
    const sets = await this.claimSets(deployment);
    if (deployment.metadata.deletionTimestamp) {
      const { newSet, oldSets } = { newSet: undefined, oldSets: sets };
      return this.writeStatus(deployment, calculateStatus(deployment, oldSets, newSet, this.deps.clock.now()));
    }
    if (await this.notePause(deployment)) return undefined;
    if (deployment.spec?.paused || isScaling(deployment, sets)) return this.rescale(deployment, sets);
    if (deployment.spec?.strategy?.type === 'Recreate') return this.recreate(deployment, sets);
    return this.roll(deployment, sets);
  }

  private claimSets(deployment: Stored<Deployment>): Promise<Stored<ReplicaSet>[]> {
    const lister = this.deps.informers.lister(replicaSets);
    const { uid, namespace } = deployment.metadata;
    return claimObjects({
      client: this.deps.client,
      type: replicaSets,
      ownerType: deployments,
      owner: deployment,
      matches: compileLabelSelector(deployment.spec?.selector),
      candidates: [...lister.byIndex('owner', uid), ...lister.byIndex('owner', orphansOf(namespace))],
    });
  }

  private async roll(deployment: Stored<Deployment>, all: Stored<ReplicaSet>[]): Promise<ReconcileResult> {
    const sets = await this.control.sort(deployment, all, true);
    const newSet = sets.newSet as Stored<ReplicaSet>;
    const desired = desiredOf(deployment);
    const current = replicasOf(newSet);
    if (current !== desired) {
      const size = current > desired ? desired : newSetSize(deployment, [...sets.oldSets, newSet], current);
      const grown = await this.control.scale(deployment, sets, new Map([[newSet.metadata.name, size]]));
      if (grown.scaled) return this.finish(deployment, grown);
    }
    const scaling = shrinkOldSets(deployment, newSet, sets.oldSets);
    const shrunk = await this.control.scale(deployment, sets, scaling);
    if (!shrunk.scaled) await this.prune(deployment, sets);
    return this.finish(deployment, shrunk);
  }

  private async recreate(deployment: Stored<Deployment>, all: Stored<ReplicaSet>[]): Promise<ReconcileResult> {
    let sets = await this.control.sort(deployment, all, false);
    const zero: Scaling = new Map(sets.oldSets.filter(set => replicasOf(set) > 0).map(set => [set.metadata.name, 0]));
    const shrunk = await this.control.scale(deployment, sets, zero);
    if (shrunk.scaled || this.hasOldPods(sets.oldSets)) return this.finish(deployment, shrunk);
    sets = sets.newSet ? sets : await this.control.sort(deployment, all, true);
    const newSet = sets.newSet as Stored<ReplicaSet>;
    sets = await this.control.scale(deployment, sets, new Map([[newSet.metadata.name, desiredOf(deployment)]]));
    await this.prune(deployment, sets);
    return this.finish(deployment, sets);
  }

  /** Also while they terminate: two versions must not run at once. */
  private hasOldPods(oldSets: readonly Stored<ReplicaSet>[]): boolean {
    const lister = this.deps.informers.lister(pods);
    return oldSets.some(
      set => (set.status?.replicas ?? 0) > 0 || lister.byIndex('owner', set.metadata.uid).some(pod => !isFinished(pod)),
    );
  }

  /** Only the number changed, or the Deployment is paused: scale what is there. */
  private async rescale(deployment: Stored<Deployment>, all: Stored<ReplicaSet>[]): Promise<ReconcileResult> {
    const sets = await this.control.sort(deployment, all, false);
    const scaled = await this.control.scale(deployment, sets, chooseScaling(deployment, sets));
    if (deployment.spec?.paused) await this.prune(deployment, scaled);
    const { newSet, oldSets } = scaled;
    const allSets = newSet ? [...oldSets, newSet] : oldSets;
    return this.writeStatus(deployment, calculateStatus(deployment, allSets, newSet, this.deps.clock.now()));
  }

  private async prune(deployment: Stored<Deployment>, { oldSets }: Sets): Promise<void> {
    if (!deployment.status || (!isComplete(deployment, deployment.status) && !deployment.spec?.paused)) return;
    for (const { metadata } of setsToPrune(deployment, oldSets)) {
      const { namespace, name, uid } = metadata;
      await this.deps.client
        .delete(replicaSets, { namespace, name }, { preconditions: { uid } })
        .catch((error: unknown) => {
          if (!isReason(error, 'NotFound')) throw error;
        });
    }
  }

  private finish(deployment: Stored<Deployment>, { newSet, oldSets }: Sets): Promise<ReconcileResult> {
    const now = this.deps.clock.now();
    const all = newSet ? [...oldSets, newSet] : oldSets;
    const status = calculateStatus(deployment, all, newSet, now);
    judgeProgress(deployment, status, all, newSet, now);
    return this.writeStatus(deployment, status);
  }

  private async writeStatus(deployment: Stored<Deployment>, status: DeploymentStatus): Promise<ReconcileResult> {
    if (!equalJson(comparable(deployment.status), comparable(status))) {
      const { namespace, name } = deployment.metadata;
      // The revision annotation may just have been written: take over its resourceVersion by patching the status alone.
      await this.deps.client.patch(
        deployments,
        { namespace, name },
        { type: 'merge', body: { metadata: { uid: deployment.metadata.uid }, status } },
        { subresource: 'status' },
      );
    }
    const wait = deadlineInMs(deployment, status, this.deps.clock.now());
    return wait === undefined ? undefined : { requeueAfterMs: wait };
  }

  /** While paused the progress deadline does not run. True when the condition was written. */
  private async notePause(deployment: Stored<Deployment>): Promise<boolean> {
    const known = conditionOf(deployment.status, 'Progressing');
    if (progressDeadlineMs(deployment) === undefined || known?.reason === 'ProgressDeadlineExceeded') return false;
    const wasPaused = known?.reason === 'DeploymentPaused';
    const paused = deployment.spec?.paused ?? false;
    if (paused === wasPaused) return false;
    const status: DeploymentStatus = { ...deployment.status };
    const reason = paused ? 'DeploymentPaused' : 'DeploymentResumed';
    const message = paused ? 'Deployment is paused' : 'Deployment is resumed';
    setCondition(status, { type: 'Progressing', status: 'Unknown', reason, message }, this.deps.clock.now());
    await this.deps.client.update(deployments, { ...deployment, status }, { subresource: 'status' });
    return true;
  }
}

/** Absent numbers are zero; the server may leave them out. */
function comparable(status: DeploymentStatus | undefined): unknown {
  const present = Object.entries(status ?? {}).filter(([, value]) => value !== 0 && value !== undefined);
  const sorted = [...(status?.conditions ?? [])].sort((a, b) => (a.type < b.type ? -1 : 1));
  return { ...Object.fromEntries(present), conditions: sorted };
}

function isEmptySelector({ spec }: Deployment): boolean {
  return Object.keys(spec?.selector.matchLabels ?? {}).length + (spec?.selector.matchExpressions?.length ?? 0) === 0;
}

function isScaling(deployment: Deployment, sets: readonly ReplicaSet[]): boolean {
  return sets.some(set => {
    const desired = set.metadata?.annotations?.[desiredAnnotation];
    return replicasOf(set) > 0 && desired !== undefined && Number(desired) !== desiredOf(deployment);
  });
}

function chooseScaling(deployment: Stored<Deployment>, { newSet, oldSets }: Sets): Scaling {
  const desired = desiredOf(deployment);
  const active = [...oldSets, ...(newSet ? [newSet] : [])].filter(set => replicasOf(set) > 0);
  const [only] = active.length > 1 ? [] : active;
  const latest = only ?? (active.length === 0 ? (newSet ?? latestOf(oldSets)) : undefined);
  if (latest) return new Map([[latest.metadata.name, desired]]);
  const saturated =
    newSet &&
    replicasOf(newSet) === desired &&
    Number(newSet.metadata.annotations?.[desiredAnnotation]) === desired &&
    newSet.status?.availableReplicas === desired;
  if (saturated) return new Map(active.filter(set => set !== newSet).map(set => [set.metadata.name, 0]));
  if (deployment.spec?.strategy?.type === 'Recreate') return new Map();
  return scaleProportionally(
    deployment,
    active,
    set => Number(set.metadata.annotations?.[maxAnnotation]) || deployment.status?.replicas || 0,
  );
}

function latestOf(sets: readonly Stored<ReplicaSet>[]): Stored<ReplicaSet> | undefined {
  return [...sets].sort(byRevision).at(-1);
}

/** Rolls Deployments out by ReplicaSets. */
export const deploymentController: Controller = {
  name: 'deployment-controller',
  watches: ({ informers }) => [
    watch(deployments, deployment => [objectKey(deployment)]),
    watch(replicaSets, ownerKeys(deployments)),
    watch(pods, keysOfPod(informers), { relevant: () => false }),
  ],
  build(deps) {
    const reconciler = new DeploymentReconciler(deps);
    return { reconcile: key => reconciler.reconcile(key) };
  },
};
