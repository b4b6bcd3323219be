import {
  controllerRevisions,
  safeEncode,
  type ControllerRevision,
  type KubeObject,
  type LabelMatcher,
  type PodTemplateSpec,
  type ResourceType,
  type Stored,
} from '@naru/api';
import { isReason } from '@naru/foundation';
import { canonicalJson, equalJson, fnv32 } from '../framework/canonical';
import { claimObjects } from '../framework/claim';
import type { ControllerDeps } from '../framework/controller';
import { orphansOf } from '../framework/informers';
import { controllerOf, controllerReference } from '../framework/owner';

export const revisionHashLabel = 'controller-revision-hash';

export type Revision = Stored<ControllerRevision>;

export interface History {
  /** The revision of the present template: the newest. */
  current: Revision;
  /** All of them, oldest first. */
  all: Revision[];
  collisionCount: number | undefined;
}

/**
 * What a revision remembers: the patch that brings the template back, which `kubectl rollout undo` applies. Clients tell by its bytes
 * whether an owner is at a revision, so names are in order, as Go writes them.
 */
function templatePatch(template: PodTemplateSpec | undefined): unknown {
  return JSON.parse(canonicalJson({ spec: { template: { ...template, $patch: 'replace' } } }));
}

/** Stable for equal data; `collisionCount` gives another one. */
export function revisionHash(data: unknown, collisionCount: number | undefined): string {
  return safeEncode(fnv32(canonicalJson(data) + (collisionCount ? String(collisionCount) : '')));
}

export function hashOf(revision: Revision): string {
  return revision.metadata.labels?.[revisionHashLabel] ?? '';
}

function byRevision(a: Revision, b: Revision): number {
  return a.revision - b.revision || (a.metadata.name < b.metadata.name ? -1 : 1);
}

export interface HistoryInput {
  matches: LabelMatcher;
  template: PodTemplateSpec | undefined;
  /** Counts names that were taken by another revision; kept in the owner's status. */
  collisionCount: number | undefined;
}

/**
 * The ControllerRevisions of the owners of one kind (DaemonSets, StatefulSets): one for each pod template that an owner has had.
 * Source: pkg/controller/history.
 */
export class RevisionHistory<Owner extends KubeObject> {
  constructor(
    private readonly deps: Pick<ControllerDeps, 'client' | 'informers'>,
    private readonly ownerType: ResourceType<Owner>,
  ) {}

  /** Finds or creates the revision of the owner's template, and makes its number the highest. */
  async sync(owner: Stored<Owner>, input: HistoryInput): Promise<History> {
    const revisions = (await this.list(owner, input.matches)).sort(byRevision);
    const data = templatePatch(input.template);
    const equal = revisions.findLast(revision => equalJson(revision.data, data));
    const newest = revisions.at(-1);
    const next = (newest?.revision ?? 0) + 1;
    if (equal && equal === newest) return { current: equal, all: revisions, collisionCount: input.collisionCount };
    if (equal) {
      // A rollback: the old revision becomes the newest again.
      const raised = await this.deps.client.update(controllerRevisions, { ...equal, revision: next });
      const all = [...revisions.filter(revision => revision !== equal), raised];
      return { current: raised, all, collisionCount: input.collisionCount };
    }
    const { revision, collisionCount } = await this.create(owner, input, data, next);
    return { current: revision, all: [...revisions, revision], collisionCount };
  }

  /** Deletes the oldest revisions beyond the limit; those that `isLive` stay. */
  async prune(all: readonly Revision[], isLive: (revision: Revision) => boolean, limit: number): Promise<void> {
    const dead = [...all].sort(byRevision).filter(revision => !isLive(revision));
    for (const { metadata } of dead.slice(0, Math.max(0, dead.length - limit))) {
      const { namespace, name, uid } = metadata;
      try {
        await this.deps.client.delete(controllerRevisions, { namespace, name }, { preconditions: { uid } });
      } catch (error) {
        if (!isReason(error, 'NotFound', 'Conflict')) throw error;
      }
    }
  }

  private list(owner: Stored<Owner>, matches: LabelMatcher): Promise<Revision[]> {
    const lister = this.deps.informers.lister(controllerRevisions);
    const { uid, namespace } = owner.metadata;
    return claimObjects({
      client: this.deps.client,
      type: controllerRevisions,
      ownerType: this.ownerType,
      owner,
      matches,
      candidates: [...lister.byIndex('owner', uid), ...lister.byIndex('owner', orphansOf(namespace))],
    });
  }

  private async create(owner: Stored<Owner>, input: HistoryInput, data: unknown, number: number) {
    const { namespace, name, uid } = owner.metadata;
    for (let collisionCount = input.collisionCount; ; collisionCount = (collisionCount ?? 0) + 1) {
      const hash = revisionHash(data, collisionCount);
      const draft = {
        apiVersion: 'apps/v1',
        kind: 'ControllerRevision',
        metadata: {
          namespace,
          name: `${name}-${hash}`,
          labels: {
            ...input.template?.metadata?.labels,
            [revisionHashLabel]: hash,
            'controller.kubernetes.io/hash': hash,
          },
          annotations: inheritedAnnotations(owner),
          ownerReferences: [controllerReference(this.ownerType, owner)],
        },
        data,
        revision: number,
      } as ControllerRevision;
      try {
        const revision = await this.deps.client.create(controllerRevisions, draft);
        return { revision, collisionCount };
      } catch (error) {
        if (!isReason(error, 'AlreadyExists')) throw error;
        const present = await this.deps.client.get(controllerRevisions, { namespace, name: `${name}-${hash}` });
        if (controllerOf(present)?.uid === uid && equalJson(present.data, data))
          return { revision: present, collisionCount };
      }
    }
  }
}

/** The cause of a change is remembered with it. */
function inheritedAnnotations(owner: KubeObject): Record<string, string> {
  const annotations = { ...owner.metadata?.annotations } as Record<string, string>;
  delete annotations['kubectl.kubernetes.io/last-applied-configuration'];
  return annotations;
}
