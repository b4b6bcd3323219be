import type { KubeObject, ResourceType, Stored } from '@naru/api';
import type { EventInput, ObjectsClient, Reconcile } from '@naru/client';
import type { Clock, Logger } from '@naru/foundation';
import type { ControllerConfig } from './config';
import type { ClusterInformers } from './informers';

export interface Recorder {
  record(about: KubeObject, input: EventInput): void;
}

/** What controllers are built from. */
export interface ControllerDeps {
  client: ObjectsClient;
  informers: ClusterInformers;
  recorder: Recorder;
  /** Reads a path of the REST API: what extension servers serve is not asked for otherwise. */
  readPath<T>(path: string): Promise<T>;
  /** Deletes what is at a path of the REST API: objects that an extension server keeps. */
  deletePath(path: string): Promise<void>;
  logger: Logger;
  clock: Clock;
  config: ControllerConfig;
  /** Aborted when the controller is to stop. */
  signal: AbortSignal;
  /** Puts a key into the controller's own queue, after a while if so wished. */
  enqueue(key: string, delayMs?: number): void;
}

/** What all controllers of a process have in common. */
export interface SharedDeps extends Omit<ControllerDeps, 'enqueue' | 'recorder'> {
  /** Events name the controller, not the process. */
  recorder(source: string): Recorder;
}

/** Events of one resource, and the keys that they make the controller look at again. */
export interface Watch {
  attach(informers: ClusterInformers, enqueue: (key: string) => void): void;
}

/** A row of the registry. */
export interface Controller {
  /** Upstream's name: "deployment-controller". */
  readonly name: string;
  /** Under which upstream reports its events, where that is another name. */
  readonly eventSource?: string;
  /** How many keys are reconciled at once. Default 5. */
  readonly concurrency?: number;
  watches(deps: Pick<ControllerDeps, 'informers'>): Watch[];
  /** `reconcile` reads the listers, never the event; it is idempotent and may be called at any time. */
  build(deps: ControllerDeps): { reconcile: Reconcile };
}

/** Watches a resource: `keysOf` is called with each object that was added, changed or deleted, and for changes with the old one too. */
export function watch<T extends KubeObject>(
  type: ResourceType<T>,
  keysOf: (object: Stored<T>) => Iterable<string>,
  options: { relevant?: (object: Stored<T>, old: Stored<T>) => boolean } = {},
): Watch {
  return {
    attach(informers, enqueue) {
      const tell = (object: Stored<T>): void => {
        for (const key of keysOf(object)) enqueue(key);
      };
      informers.get(type).addHandler({
        onAdd: tell,
        onUpdate(object, old) {
          if (options.relevant?.(object, old) === false) return;
          tell(old);
          tell(object);
        },
        onDelete: tell,
      });
    },
  };
}
