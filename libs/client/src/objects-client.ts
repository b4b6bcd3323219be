import type { KubeObject, ObjectList, ResourceType, Stored } from '@naru/api';

/** Which object: the namespace is absent for cluster-scoped kinds. */
export interface ObjectKey {
  namespace?: string | undefined;
  name: string;
}

export interface ListOptions {
  /** Absent: all namespaces. */
  namespace?: string | undefined;
  labelSelector?: string;
  fieldSelector?: string;
  /** Absent or "": the latest committed state. "0": whatever the server's cache holds. */
  resourceVersion?: string;
}

export interface WriteOptions {
  subresource?: string;
  fieldManager?: string;
  dryRun?: boolean;
}

/** The media type of a patch by its short name. */
export const patchTypes = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const;

export interface Patch {
  type: keyof typeof patchTypes;
  body: unknown;
}

/** metav1.DeleteOptions, as far as our own processes use it. */
export interface DeleteOptions {
  gracePeriodSeconds?: number;
  propagationPolicy?: 'Orphan' | 'Background' | 'Foreground';
  preconditions?: { uid?: string; resourceVersion?: string };
}

/**
 * The verbs of the Kubernetes API. Every failure is a StatusError; an unreachable server is `ServiceUnavailable`, a
 * missed deadline `Timeout`. Nothing is retried: that is the business of the caller's work queue.
 */
export interface ObjectsClient {
  get<T extends KubeObject>(type: ResourceType<T>, key: ObjectKey, signal?: AbortSignal): Promise<Stored<T>>;
  list<T extends KubeObject>(
    type: ResourceType<T>,
    options?: ListOptions,
    signal?: AbortSignal,
  ): Promise<ObjectList<Stored<T>>>;
  /** With `subresource` (binding, eviction, token), `key` says of which object and the body may be of another kind. */
  create<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<Stored<T>>;
  createSubresource<Body extends KubeObject, Answer = Body>(
    type: ResourceType,
    key: ObjectKey,
    subresource: string,
    body: Body,
  ): Promise<Answer>;
  /** Fails with Conflict when metadata.resourceVersion is set and is not the stored one. */
  update<T extends KubeObject>(type: ResourceType<T>, object: T, options?: WriteOptions): Promise<Stored<T>>;
  patch<T extends KubeObject>(
    type: ResourceType<T>,
    key: ObjectKey,
    patch: Patch,
    options?: WriteOptions,
  ): Promise<Stored<T>>;
  delete(type: ResourceType, key: ObjectKey, options?: DeleteOptions): Promise<void>;
  deleteCollection(type: ResourceType, selection: ListOptions, options?: DeleteOptions): Promise<void>;
  close(): void;
}
