import { apiVersionOf } from '../resource';
import type { AnyDefinition } from '../scheme/definition';
import type { KubeObject } from '../types';
import type { Cell } from './column';

export type IncludeObject = 'None' | 'Metadata' | 'Object';

export interface TableRow {
  cells: Cell[];
  object?: unknown;
}

export interface Table {
  kind: 'Table';
  apiVersion: 'meta.k8s.io/v1';
  metadata: { resourceVersion?: string; continue?: string; remainingItemCount?: number };
  columnDefinitions: { name: string; type: string; format: string; description: string; priority: number }[];
  rows: TableRow[];
}

export interface TableOptions {
  /** The query parameter of the same name; "" and absent mean Metadata. */
  includeObject?: IncludeObject | '' | undefined;
  metadata?: Table['metadata'];
  /** Milliseconds since the epoch, for ages. */
  nowMs: number;
  /** A watch sends the columns only with its first event. */
  withoutColumnDefinitions?: boolean;
}

/** The answer to `Accept: application/json;as=Table;g=meta.k8s.io;v=v1`. */
export function toTable(definition: AnyDefinition, objects: readonly KubeObject[], options: TableOptions): Table {
  const include = options.includeObject || 'Metadata';
  return {
    kind: 'Table',
    apiVersion: 'meta.k8s.io/v1',
    metadata: options.metadata ?? {},
    columnDefinitions: options.withoutColumnDefinitions ? [] : columnDefinitions(definition),
    rows: objects.map(o => ({
      cells: definition.columns.map(c => c.cell(o, options.nowMs)),
      ...(include === 'None' ? {} : { object: include === 'Object' ? withType(definition, o) : partialMetadata(o) }),
    })),
  };
}

function columnDefinitions(definition: AnyDefinition): Table['columnDefinitions'] {
  return definition.columns.map(c => ({
    name: c.name,
    type: c.type,
    format: c.format ?? '',
    description: c.description,
    priority: c.priority,
  }));
}

function withType(definition: AnyDefinition, o: KubeObject): KubeObject {
  return o.kind ? o : { ...o, kind: definition.type.kind, apiVersion: apiVersionOf(definition.type) };
}

/** The object without spec and status, as `as=PartialObjectMetadata` also shows it. */
export function partialMetadata(o: KubeObject): KubeObject {
  return { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', metadata: o.metadata };
}
