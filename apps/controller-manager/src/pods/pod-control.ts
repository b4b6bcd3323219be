import { pods, type KubeObject, type Pod, type PodTemplateSpec, type ResourceType, type Stored } from '@naru/api';
import { isReason, StatusError } from '@naru/foundation';
import type { ControllerDeps } from '../framework/controller';
import { controllerReference, withKind } from '../framework/owner';
import type { PodDeletions } from './pod-deletions';

export interface PodControlOptions<Owner extends KubeObject> {
  deps: Pick<ControllerDeps, 'client' | 'recorder'>;
  ownerType: ResourceType<Owner>;
  deletions: PodDeletions;
}

/** Creates and deletes the pods of owners of one kind, tells in events, and notes deletions that the informer does not show yet. */
export class PodControl<Owner extends KubeObject> {
  constructor(private readonly options: PodControlOptions<Owner>) {}

  /** `change` may name the pod and alter its draft. Throws what the api-server answers, after an event about it. */
  async create(owner: Stored<Owner>, template: PodTemplateSpec, change?: (pod: Pod) => void): Promise<Stored<Pod>> {
    const { deps, ownerType } = this.options;
    const draft = podFromTemplate(ownerType, owner, template);
    change?.(draft);
    try {
      const pod = await deps.client.create(pods, draft);
      this.record(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`);
      return pod;
    } catch (error) {
      if (!isNamespaceTerminating(error))
        this.record(owner, 'Warning', 'FailedCreate', `Error creating: ${(error as Error).message}`);
      throw error;
    }
  }

  /** A pod that is gone already is as good as deleted. */
  async delete(owner: Stored<Owner>, pod: Stored<Pod>): Promise<void> {
    const { deps, deletions } = this.options;
    const { namespace, name, uid } = pod.metadata;
    deletions.note(uid);
    try {
      await deps.client.delete(pods, { namespace, name }, { preconditions: { uid } });
      this.record(owner, 'Normal', 'SuccessfulDelete', `Deleted pod: ${name}`);
    } catch (error) {
      if (isReason(error, 'NotFound', 'Conflict')) return;
      deletions.forget(uid);
      this.record(owner, 'Warning', 'FailedDelete', `Error deleting: ${(error as Error).message}`);
      throw error;
    }
  }

  private record(owner: Stored<Owner>, type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.options.deps.recorder.record(withKind(this.options.ownerType, owner), { type, reason, message });
  }
}

function podFromTemplate<Owner extends KubeObject>(
  ownerType: ResourceType<Owner>,
  owner: Stored<Owner>,
  template: PodTemplateSpec,
): Pod {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      namespace: owner.metadata.namespace,
      generateName: podPrefix(owner.metadata.name),
      labels: { ...labels },
      annotations: { ...annotations },
      ...(finalizers ? { finalizers: [...finalizers] } : {}),
      ownerReferences: [controllerReference(ownerType, owner)],
    },
    // A private copy, but for this level shared with the template, which nobody changes.
    ...(template.spec ? { spec: { ...template.spec } } : {}),
  };
}

/** Leaves room for the five random characters; a name must not exceed 63 where it becomes a host name. */
export function podPrefix(ownerName: string): string {
  return ownerName.length <= 57 ? `${ownerName}-` : `${ownerName.slice(0, 57)}-`;
}

/** Nothing can be created in a namespace that is being deleted: no reason to complain. */
export function isNamespaceTerminating(error: unknown): boolean {
  return (
    error instanceof StatusError &&
    error.reason === 'Forbidden' &&
    (error.details?.causes?.some(cause => cause.reason === 'NamespaceTerminating') ?? false)
  );
}
