import type { KubeObject, ResourceType, Stored } from '@naru/api';

export interface WatchOptions {
  namespace?: string | undefined;
  fieldSelector?: string | undefined;
  /** Where to begin: what came after it is told. */
  resourceVersion: string;
  /** After so long the server ends the watch. */
  timeoutSeconds: number;
}

/** A bookmark's object has nothing but its metadata.resourceVersion. */
export interface WatchEvent<T extends KubeObject> {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK';
  object: Stored<T>;
}

/** What can be asked for changes, where there is no feed. */
export interface Watcher {
  /**
   * Calls `onEvent` for each change, in order. Resolves when the server ends the watch, which may be gone on with; throws
   * a StatusError otherwise: `Expired` or `Gone` say that only a list helps.
   */
  watch<T extends KubeObject>(
    type: ResourceType<T>,
    options: WatchOptions,
    onEvent: (event: WatchEvent<T>) => void,
    signal: AbortSignal,
  ): Promise<void>;
}
