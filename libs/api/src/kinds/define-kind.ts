import { deepEqual } from '../deep-equal';
import type { ResourceType } from '../resource';
import type { PartStrategy, ResourceDefinition, StoredAs, Subresources, Verb } from '../scheme/definition';
import { kindSchema } from '../schema/types';
import { zeroFields } from '../schema/zero-fields';
import type { TableColumn } from '../table/column';
import { ageColumn, nameColumn } from '../table/columns';
import type { KubeObject } from '../types';
import { collectFieldErrors } from '../validation/collect-field-errors';
import type { FieldError } from '../validation/field-error';
import { keepSystemMetadata, validateMetadata, validateMetadataUpdate, validateVersion } from '../validation/metadata';
import { dnsSubdomainProblem, type NameRule } from '../validation/names';

/** A subresource that changes a part of the object. */
export interface PartSpec<T extends KubeObject> {
  /** The fields that it may change, as they will be: what was wanted in the old surroundings. Changes neither. */
  take(wanted: T, old: T, now: string): Partial<T>;
  /** Labels and annotations may change on the way. */
  takesMetadata?: true;
  validate?(next: T, old: T, errors: FieldError[]): void;
}

/** What a kind's file says; everything left out is what most kinds do. */
export interface KindSpec<T extends KubeObject> {
  singular?: string;
  shortNames?: readonly string[];
  /** "all": listed by `kubectl get all`. */
  categories?: readonly string[];
  verbs?: readonly Verb[];
  subresources?: Subresources;
  /** Default: a DNS-1123 subdomain. */
  nameRule?: NameRule;
  /** metadata.generation counts the changes of the spec, or of what the function gives. */
  hasGeneration?: boolean | ((o: T) => unknown);
  /** An update must name the version that it replaces. */
  needsVersion?: true;
  /** The status may come with the create (Node: the kubelet registers with it). */
  keepsStatusOnCreate?: boolean;
  applyDefaults?(o: T): void;
  /** What must be done only once; prepareForCreate may be repeated. */
  completeForCreate?(o: T): void;
  prepareForCreate?(o: T): void;
  prepareForUpdate?(next: T, old: T): void;
  prepareForStatusUpdate?(next: T, old: T): void;
  /** Appends what is wrong with an object, whether it is created or updated. */
  validate?(o: T, errors: FieldError[]): void;
  validateCreate?(o: T, errors: FieldError[]): void;
  /** What is wrong with the change. */
  validateUpdate?(next: T, old: T, errors: FieldError[]): void;
  validateStatusUpdate?(next: T, old: T, errors: FieldError[]): void;
  /** By name; discovery lists them too. */
  parts?: Record<string, PartSpec<T>>;
  warnings?(o: T): string[];
  /** Between name and age, or all of them when the first is a name column. Absent: name and age. */
  columns?: readonly TableColumn<T>[];
  /** Field selectors besides metadata.name and metadata.namespace. */
  selectable?: Record<string, (o: T) => string | number | boolean | undefined>;
  storedAs?: StoredAs<T>;
  /** Told to every client that uses the kind. */
  deprecationWarning?: string;
}

const allVerbs: readonly Verb[] = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

function newStatus({ group, version, kind }: ResourceType): Record<string, unknown> {
  return zeroFields(kindSchema(group, version, kind)?.fields.get('status')?.value.type);
}

interface WithSpecAndStatus extends KubeObject {
  spec?: unknown;
  status?: unknown;
}

/** Completes a kind's row with what all kinds share. */
export function defineKind<T extends KubeObject>(
  type: ResourceType<T>,
  spec: KindSpec<NoInfer<T>> = {},
): ResourceDefinition<T> {
  const selectable = Object.entries(spec.selectable ?? {});
  const nameFields = type.namespaced ? ['metadata.name', 'metadata.namespace'] : ['metadata.name'];
  return {
    type,
    singular: spec.singular ?? type.kind.toLowerCase(),
    shortNames: spec.shortNames ?? [],
    categories: spec.categories ?? [],
    verbs: spec.verbs ?? allVerbs,
    subresources: withParts(spec),
    strategy: strategyOf(type, spec),
    columns: columnsOf(spec.columns),
    selectableFieldNames: [...nameFields, ...selectable.map(([field]) => field)],
    selectableFields: o => {
      const fields: Record<string, string> = { 'metadata.name': o.metadata?.name ?? '' };
      if (type.namespaced) fields['metadata.namespace'] = o.metadata?.namespace ?? '';
      for (const [field, read] of selectable) fields[field] = String(read(o) ?? '');
      return fields;
    },
    ...(spec.storedAs ? { storedAs: spec.storedAs } : {}),
    ...(spec.deprecationWarning ? { deprecationWarning: spec.deprecationWarning } : {}),
    strategicMerge: true,
  };
}

function withParts<T extends KubeObject>({ subresources = {}, parts = {} }: KindSpec<T>): Subresources {
  const names = Object.keys(parts);
  return names.length === 0 ? subresources : { ...subresources, special: [...(subresources.special ?? []), ...names] };
}

function columnsOf<T extends KubeObject>(columns: readonly TableColumn<T>[] | undefined): readonly TableColumn<T>[] {
  if (columns?.some(c => c.format === 'name')) return columns;
  return [nameColumn, ...(columns ?? []), ageColumn];
}

function strategyOf<T extends KubeObject>(type: ResourceType<T>, spec: KindSpec<T>): ResourceDefinition<T>['strategy'] {
  const nameRule = spec.nameRule ?? dnsSubdomainProblem;
  const hasStatus = spec.subresources?.status === true;
  const counted = typeof spec.hasGeneration === 'function' ? spec.hasGeneration : (o: WithSpecAndStatus) => o.spec;
  const validateCommon = (o: T, errors: FieldError[]): void => {
    validateMetadata(o, type.namespaced, nameRule, errors);
    spec.validate?.(o, errors);
  };
  return {
    applyDefaults: o => spec.applyDefaults?.(o),
    completeForCreate: o => spec.completeForCreate?.(o),
    prepareForCreate: o => {
      const meta = (o.metadata ??= {});
      delete meta.deletionTimestamp;
      delete meta.deletionGracePeriodSeconds;
      delete meta.selfLink;
      if (spec.hasGeneration) meta.generation = 1;
      else delete meta.generation;
      if (hasStatus && !spec.keepsStatusOnCreate) (o as WithSpecAndStatus).status = newStatus(type);
      spec.prepareForCreate?.(o);
    },
    prepareForUpdate: (next, old) => {
      keepSystemMetadata(next, old);
      if (hasStatus) copyField(next, old, 'status');
      spec.prepareForUpdate?.(next, old);
      if (spec.hasGeneration) raiseGeneration(next, old, counted);
    },
    prepareForStatusUpdate: (next, old) => {
      keepSystemMetadata(next, old);
      for (const key of new Set([...Object.keys(next), ...Object.keys(old)]))
        if (key !== 'status' && key !== 'metadata') copyField(next, old, key);
      spec.prepareForStatusUpdate?.(next, old);
    },
    validateCreate: o =>
      collectFieldErrors(errors => {
        validateCommon(o, errors);
        spec.validateCreate?.(o, errors);
      }),
    validateUpdate: (next, old) =>
      collectFieldErrors(errors => {
        validateCommon(next, errors);
        if (spec.needsVersion) validateVersion(next, errors);
        validateMetadataUpdate(next, old, errors);
        spec.validateUpdate?.(next, old, errors);
      }),
    validateStatusUpdate: (next, old) =>
      collectFieldErrors(errors => {
        validateMetadata(next, type.namespaced, nameRule, errors);
        if (spec.needsVersion) validateVersion(next, errors);
        validateMetadataUpdate(next, old, errors);
        spec.validateStatusUpdate?.(next, old, errors);
      }),
    ...(spec.parts ? { parts: partsOf(type, nameRule, spec, counted) } : {}),
    ...(spec.warnings ? { warnings: (o: T) => spec.warnings?.(o) ?? [] } : {}),
  };
}

function partsOf<T extends KubeObject>(
  type: ResourceType<T>,
  nameRule: NameRule,
  spec: KindSpec<T>,
  counted: (o: T) => unknown,
): Record<string, PartStrategy<T>> {
  const strategies = Object.entries(spec.parts ?? {}).map(([name, part]): [string, PartStrategy<T>] => [
    name,
    {
      prepareForUpdate: (next, old, now) => {
        keepSystemMetadata(next, old);
        if (!part.takesMetadata)
          for (const field of ['labels', 'annotations', 'ownerReferences', 'finalizers'])
            copyField(next.metadata as object, old.metadata ?? {}, field);
        const taken = part.take(next, old, now);
        for (const key of new Set([...Object.keys(next), ...Object.keys(old)]))
          if (key !== 'metadata') copyField(next, old, key);
        Object.assign(next, taken);
        if (spec.hasGeneration) raiseGeneration(next, old, counted);
      },
      validateUpdate: (next, old) =>
        collectFieldErrors(errors => {
          validateMetadata(next, type.namespaced, nameRule, errors);
          validateMetadataUpdate(next, old, errors);
          part.validate?.(next, old, errors);
        }),
    },
  ]);
  return Object.fromEntries(strategies);
}

/** Shares the old value: it is not changed after this point. */
function copyField(next: object, old: object, key: string): void {
  const to = next as Record<string, unknown>;
  const value = (old as Record<string, unknown>)[key];
  if (value === undefined) delete to[key];
  else to[key] = value;
}

/** A deletion counts as a change too (upstream's BeforeDelete does that); here only what the kind counts. */
function raiseGeneration<T extends KubeObject>(next: T, old: T, counted: (o: T) => unknown): void {
  const meta = (next.metadata ??= {});
  const before = old.metadata?.generation ?? 0;
  if (meta.generation === before || meta.generation === undefined)
    meta.generation = deepEqual(counted(next), counted(old)) ? before : before + 1;
}
