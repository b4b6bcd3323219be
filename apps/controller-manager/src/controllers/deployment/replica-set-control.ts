import { deployments, replicaSets, type Deployment, type ReplicaSet, type Stored } from '@naru/api';
import { isReason } from '@naru/foundation';
import type { ControllerDeps } from '../../framework/controller';
import { equalJson } from '../../framework/canonical';
import { controllerOf, controllerReference, withKind } from '../../framework/owner';
import {
  byAge,
  findNewSet,
  hashLabel,
  newSetAnnotations,
  nextRevision,
  replicasAnnotations,
  revisionAnnotation,
  templateHash,
} from './revision';
import { newSetSize, replicasOf, type Scaling } from './rolling-update';

export interface Sets {
  newSet: Stored<ReplicaSet> | undefined;
  /** Oldest first. */
  oldSets: Stored<ReplicaSet>[];
}

/** Finds, creates and scales the ReplicaSets of Deployments, and keeps their revision numbers. */
export class ReplicaSetControl {
  constructor(private readonly deps: ControllerDeps) {}

  /** Sorts the sets into the new one and the old ones, brings the revision up to date, and creates the new one if wished. */
  async sort(deployment: Stored<Deployment>, sets: readonly Stored<ReplicaSet>[], create: boolean): Promise<Sets> {
    const found = findNewSet(deployment, sets);
    const oldSets = sets.filter(set => set !== found).sort(byAge);
    const revision = nextRevision(oldSets);
    if (found) return { newSet: await this.refresh(deployment, found, revision), oldSets };
    if (!create) return { newSet: undefined, oldSets };
    return { newSet: await this.create(deployment, oldSets, revision), oldSets };
  }

  /** Answers the sets as they are after scaling. */
  async scale(deployment: Stored<Deployment>, sets: Sets, scaling: Scaling): Promise<Sets & { scaled: boolean }> {
    let scaled = false;
    const apply = async (set: Stored<ReplicaSet>): Promise<Stored<ReplicaSet>> => {
      const size = scaling.get(set.metadata.name);
      if (size === undefined) return set;
      const next = await this.scaleOne(deployment, set, size);
      if (replicasOf(next) !== replicasOf(set)) scaled = true;
      return next;
    };
    const newSet = sets.newSet && (await apply(sets.newSet));
    const oldSets: Stored<ReplicaSet>[] = [];
    for (const set of sets.oldSets) oldSets.push(await apply(set));
    return { newSet, oldSets, scaled };
  }

  /** The revision of the Deployment is that of its newest set; kubectl shows and undoes by it. */
  async noteRevision(deployment: Stored<Deployment>, newSet: Stored<ReplicaSet>): Promise<void> {
    const revision = newSet.metadata.annotations?.[revisionAnnotation];
    if (!revision || deployment.metadata.annotations?.[revisionAnnotation] === revision) return;
    const { namespace, name } = deployment.metadata;
    const body = { metadata: { annotations: { [revisionAnnotation]: revision } } };
    await this.deps.client.patch(deployments, { namespace, name }, { type: 'merge', body });
  }

  private async scaleOne(
    deployment: Stored<Deployment>,
    set: Stored<ReplicaSet>,
    size: number,
  ): Promise<Stored<ReplicaSet>> {
    const annotations = replicasAnnotations(deployment);
    const before = replicasOf(set);
    const annotated = Object.entries(annotations).every(([key, value]) => set.metadata.annotations?.[key] === value);
    if (before === size && annotated) return set;
    const { namespace, name, resourceVersion } = set.metadata;
    const body = { metadata: { resourceVersion, annotations }, spec: { replicas: size } };
    const next = await this.deps.client.patch(replicaSets, { namespace, name }, { type: 'merge', body });
    if (before !== size) this.tellScaled(deployment, name, before, size);
    return next;
  }

  private tellScaled(deployment: Stored<Deployment>, name: string, from: number, to: number): void {
    this.deps.recorder.record(withKind(deployments, deployment), {
      type: 'Normal',
      reason: 'ScalingReplicaSet',
      message: `Scaled ${to > from ? 'up' : 'down'} replica set ${name} from ${from} to ${to}`,
    });
  }

  private async refresh(
    deployment: Stored<Deployment>,
    set: Stored<ReplicaSet>,
    revision: bigint,
  ): Promise<Stored<ReplicaSet>> {
    const annotations = newSetAnnotations(deployment, { ...set.metadata.annotations }, revision);
    const minReadySeconds = deployment.spec?.minReadySeconds ?? 0;
    let current = set;
    if (
      !equalJson(annotations, set.metadata.annotations ?? {}) ||
      minReadySeconds !== (set.spec?.minReadySeconds ?? 0)
    ) {
      const { namespace, name, resourceVersion } = set.metadata;
      const body = { metadata: { resourceVersion, annotations }, spec: { minReadySeconds } };
      current = await this.deps.client.patch(replicaSets, { namespace, name }, { type: 'merge', body });
    }
    await this.noteRevision(deployment, current);
    return current;
  }

  private async create(
    deployment: Stored<Deployment>,
    oldSets: readonly Stored<ReplicaSet>[],
    revision: bigint,
  ): Promise<Stored<ReplicaSet>> {
    const draft = this.draft(deployment, oldSets, revision);
    const name = draft.metadata?.name ?? '';
    const { namespace } = deployment.metadata;
    try {
      const created = await this.deps.client.create(replicaSets, draft);
      if (replicasOf(created) > 0) this.tellScaled(deployment, name, 0, replicasOf(created));
      await this.noteRevision(deployment, created);
      return created;
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
      const existing = await this.deps.client.get(replicaSets, { namespace, name });
      const ours = controllerOf(existing)?.uid === deployment.metadata.uid;
      // Ours, only not in the local copy yet.
      if (ours && findNewSet(deployment, [existing])) return existing;
      // Another template has the same hash: count up, so that the next attempt takes another name.
      const status = { ...deployment.status, collisionCount: (deployment.status?.collisionCount ?? 0) + 1 };
      await this.deps.client.update(deployments, { ...deployment, status }, { subresource: 'status' });
      throw error;
    }
  }

  private draft(deployment: Stored<Deployment>, oldSets: readonly Stored<ReplicaSet>[], revision: bigint): ReplicaSet {
    const { template, selector, minReadySeconds } = deployment.spec ?? {};
    const hash = templateHash(template, deployment.status?.collisionCount);
    const labels = { ...template?.metadata?.labels, [hashLabel]: hash };
    return {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        namespace: deployment.metadata.namespace,
        name: `${deployment.metadata.name}-${hash}`,
        labels,
        annotations: newSetAnnotations(deployment, undefined, revision),
        ownerReferences: [controllerReference(deployments, deployment)],
      },
      spec: {
        replicas: newSetSize(deployment, oldSets, 0),
        ...(minReadySeconds ? { minReadySeconds } : {}),
        selector: { ...selector, matchLabels: { ...selector?.matchLabels, [hashLabel]: hash } },
        template: { ...template, metadata: { ...template?.metadata, labels } },
      },
    };
  }
}
