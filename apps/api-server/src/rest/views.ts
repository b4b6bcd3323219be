import {
  apiVersionOf,
  partialMetadata,
  toTable,
  type AnyDefinition,
  type IncludeObject,
  type KubeObject,
} from '@naru/api';
import { presentBytes, presentObject } from '../objects/present';
import type { Entry } from '../storage/entry';
import type { Negotiated } from './negotiate';

const comma = Buffer.from(',');
const closing = Buffer.from(']}');

export interface ListMetadata {
  revision: number;
  continue: string;
  remaining: number | undefined;
}

export interface ViewOptions {
  as: Negotiated['as'];
  includeObject: IncludeObject | '';
  nowMs: number;
}

function listMeta({ revision, continue: token, remaining }: ListMetadata): {
  resourceVersion: string;
  continue?: string;
  remainingItemCount?: number;
} {
  return {
    resourceVersion: String(revision),
    ...(token === '' ? {} : { continue: token }),
    ...(remaining === undefined ? {} : { remainingItemCount: remaining }),
  };
}

/** A list as parts to send: for plain JSON the cached bytes themselves. */
export function listParts(
  definition: AnyDefinition,
  entries: readonly Entry[],
  list: ListMetadata,
  options: ViewOptions,
): Buffer[] {
  const { kind } = definition.type;
  const metadata = listMeta(list);
  if (options.as === 'table') {
    const objects = entries.map(entry => presentObject(definition, entry.bytes));
    return [Buffer.from(JSON.stringify(toTable(definition, objects, { ...options, metadata })))];
  }
  if (options.as === 'metadata') {
    const items = entries.map(entry => partialMetadata(presentObject(definition, entry.bytes)));
    const answer = { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1', metadata, items };
    return [Buffer.from(JSON.stringify(answer))];
  }
  const parts: Buffer[] = [
    Buffer.from(
      `{"kind":"${definition.listKind ?? `${kind}List`}","apiVersion":"${apiVersionOf(definition.type)}","metadata":${JSON.stringify(metadata)},"items":[`,
    ),
  ];
  for (let i = 0; i < entries.length; i++) {
    if (i > 0) parts.push(comma);
    parts.push(presentBytes(definition, entries[i]!.bytes));
  }
  parts.push(closing);
  return parts;
}

/** One object in the shape that the client wants. */
export function objectView(definition: AnyDefinition, bytes: Buffer, options: ViewOptions): Buffer {
  if (options.as === 'object') return bytes;
  const object = JSON.parse(bytes.toString()) as KubeObject;
  // A Status (of a deletion) is shown as it is.
  if (object.kind !== definition.type.kind) return bytes;
  if (options.as === 'metadata') return Buffer.from(JSON.stringify(partialMetadata(object)));
  const metadata = { resourceVersion: object.metadata?.resourceVersion ?? '' };
  return Buffer.from(JSON.stringify(toTable(definition, [object], { ...options, metadata })));
}

/** A watched object in the shape that the client wants; a table's columns come with the first event only. */
export function eventView(definition: AnyDefinition, bytes: Buffer, options: ViewOptions, first: boolean): Buffer {
  if (options.as === 'object') return presentBytes(definition, bytes);
  const object = presentObject(definition, bytes);
  if (options.as === 'metadata') return Buffer.from(JSON.stringify(partialMetadata(object)));
  const metadata = { resourceVersion: object.metadata?.resourceVersion ?? '' };
  const table = toTable(definition, [object], { ...options, metadata, withoutColumnDefinitions: !first });
  return Buffer.from(JSON.stringify(table));
}
