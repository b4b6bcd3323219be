import type { JsonSchema } from '../extensions/types';
import type { KubeObject } from '../types';
import type { ObjectType } from '../managed-fields/merge-type';
import type { ResourceType } from '../resource';
import type { TableColumn } from '../table/column';
import type { FieldError } from '../validation/field-error';

/** Where the scale subresource finds its numbers, as dotted paths into the object. */
export interface ScalePaths {
  /** Usually "spec.replicas". */
  specReplicas: string;
  /** Usually "status.replicas". */
  statusReplicas: string;
  /**
   * A LabelSelector object, a plain map of labels (ReplicationController), or (custom resources) a selector as text:
   * "spec.selector".
   */
  selector?: string;
}

export interface Subresources {
  status?: true;
  scale?: ScalePaths;
  /** The ones with code of their own, by name: binding, eviction, log, exec, token, approval, finalize, ... */
  special?: readonly string[];
}

/**
 * What is particular to a kind when it is written. Every function works on a private mutable copy: it may change `o`
 * and `next`, never `old`, which may be frozen.
 */
export interface Strategy<T extends KubeObject> {
  applyDefaults(o: T): void;
  /** Once before prepareForCreate, which runs again when a generated name is taken. */
  completeForCreate?(o: T): void;
  /** Runs after defaulting: drops what only the status subresource may write, sets generation 1. */
  prepareForCreate(o: T): void;
  /** Keeps the old status, and raises the generation where the spec changed. */
  prepareForUpdate(next: T, old: T): void;
  /** Keeps everything but the status (and what of metadata may change with it). */
  prepareForStatusUpdate(next: T, old: T): void;
  /** Includes the generic validation of metadata. Empty: valid. */
  validateCreate(o: T): FieldError[];
  validateUpdate(next: T, old: T): FieldError[];
  validateStatusUpdate(next: T, old: T): FieldError[];
  /** The subresources besides "status" that change a part of the object. */
  parts?: Readonly<Record<string, PartStrategy<T>>>;
  /** Warnings for the client (deprecated fields and the like); shown after a successful write. */
  warnings?(o: T): string[];
}

export interface PartStrategy<T extends KubeObject> {
  /** Keeps everything but the part. `now` is the time as RFC 3339. */
  prepareForUpdate(next: T, old: T, now: string): void;
  validateUpdate(next: T, old: T): FieldError[];
}

/**
 * Set when the objects of this resource are kept as those of another one: events.k8s.io events are stored as core
 * events, and either door shows all of them. The functions do not change their argument.
 */
export interface StoredAs<T extends KubeObject = KubeObject> {
  type: ResourceType;
  /** A promise where somebody else must be asked (conversion webhooks). */
  toStored(o: T): KubeObject | Promise<KubeObject>;
  fromStored(stored: KubeObject): T;
  /** In place of `fromStored`, where it goes by the committed JSON; may need `prepare` first. */
  fromStoredBytes?(stored: Buffer): Buffer;
  /** Makes committed JSON ready for `fromStoredBytes`; undefined when it is. */
  prepare?(stored: readonly Buffer[], signal?: AbortSignal): Promise<void> | undefined;
}

/** Everything the machinery knows of one built-in kind. Adding a kind is one file in kinds/ and one row of the list. */
export interface ResourceDefinition<T extends KubeObject = KubeObject> {
  type: ResourceType<T>;
  /** Lower case: "pod". */
  singular: string;
  shortNames: readonly string[];
  categories: readonly string[];
  /** As discovery lists them. */
  verbs: readonly Verb[];
  subresources: Subresources;
  strategy: Strategy<T>;
  columns: readonly TableColumn<T>[];
  /** The field selectors that upstream supports for the kind; metadata.name (and .namespace) always. */
  selectableFields(o: T): Record<string, string>;
  /** The keys of `selectableFields`, known without an object: to refuse other selectors. */
  selectableFieldNames: readonly string[];
  storedAs?: StoredAs<T>;
  /** Patches with merge keys; false for kinds whose schema is not ours (CRDs). */
  strategicMerge: boolean;
  /**
   * How fields merge in server-side apply; must give the same object each time. Absent: by the built-in schema of the
   * kind, and by form where there is none.
   */
  mergeType?(): ObjectType;
  /** Where it is not the kind with "List" behind it. */
  listKind?: string;
  /** Of a custom resource: its structural schema. */
  schema?: JsonSchema;
  /** Drops what the schema does not know from a parsed body; answers the paths of it. */
  prune?(o: T): string[];
  /** Brings an object that was stored under an earlier schema up to this one; true when it changed. */
  normalize?(o: T): boolean;
  /** Told to every client that uses this version. */
  deprecationWarning?: string;
}

export type Verb = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch';

/** A definition whose object type is not of interest to its user. */
export type AnyDefinition = ResourceDefinition<KubeObject>;
