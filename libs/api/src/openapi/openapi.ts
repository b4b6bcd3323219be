import { createHash } from 'node:crypto';
import { BoundedMap } from '@naru/foundation';
import { structure } from '../generated/structure';
import type { AnyDefinition } from '../scheme/definition';
import type { Scheme } from '../scheme/scheme';
import { unpackDocs } from './docs';
import { encodeOpenApiV2 } from './openapi-protobuf';
import { pathsOf, type PathDialect } from './paths';
import { SchemaCollector, v2Dialect, v3Dialect, type Json } from './schemas';

/** A document as the bytes to send, with its strong ETag. Cached until the scheme changes. */
export interface OpenApiDocument {
  bytes: Uint8Array;
  /** Upper-case hex SHA-512, as upstream's `hash` parameter. */
  hash: string;
}

const info = { title: 'Kubernetes', version: 'v1.36.0' };
/** A document is some hundred kilobytes, and clients read a few of them, once. */
const maxCached = 8;

interface CachedDocument {
  document: OpenApiDocument;
  generation: number;
}
const caches = new WeakMap<Scheme, Map<string, CachedDocument>>();

/** A document with a hash that is known beforehand is kept as long as that is the same; others until any kind changes. */
function cached(
  scheme: Scheme,
  key: string,
  build: () => Json,
  hash?: string,
  encode: (document: Json) => Uint8Array = encodeJson,
): OpenApiDocument {
  let cache = caches.get(scheme);
  if (!cache) caches.set(scheme, (cache = new BoundedMap(maxCached)));
  const { generation } = scheme;
  const known = cache.get(key);
  if (known && (hash === undefined ? known.generation === generation : known.document.hash === hash))
    return known.document;
  const bytes = encode(build());
  const document = { bytes, hash: hash ?? digest(bytes) };
  cache.set(key, { document, generation });
  return document;
}

function encodeJson(document: Json): Uint8Array {
  return Buffer.from(JSON.stringify(document));
}

function digest(...parts: (string | Uint8Array)[]): string {
  const sha = createHash('sha512');
  for (const part of parts) sha.update(part);
  return sha.digest('hex').toUpperCase();
}

/** "api/v1" → the rows of the core group. */
function rowsOf(scheme: Scheme, path: string): AnyDefinition[] {
  const [door, group, version] = path.split('/');
  if (door === 'api' && group && version === undefined) return scheme.inGroupVersion('', group);
  return door === 'apis' && group && version ? scheme.inGroupVersion(group, version) : [];
}

const rowHashes = new WeakMap<AnyDefinition, string>();
let structureHash: string | undefined;

/** Known before the document is made: from what it is made of. */
function hashOf(path: string, rows: readonly AnyDefinition[]): string {
  structureHash ??= digest(info.version, structure);
  return digest(structureHash, path, ...rows.map(rowHash));
}

function rowHash(row: AnyDefinition): string {
  let hash = rowHashes.get(row);
  if (hash === undefined) {
    const { type, subresources, verbs, listKind, schema } = row;
    rowHashes.set(row, (hash = digest(JSON.stringify([type, subresources, verbs, listKind, schema]))));
  }
  return hash;
}

/** GET /openapi/v3: the index. */
export function openApiV3Index(scheme: Scheme): OpenApiDocument {
  return cached(scheme, '', () => {
    const paths: Json = {};
    const versions = [...scheme.groups()].flatMap(([group, all]) => all.map(version => `apis/${group}/${version}`));
    for (const path of ['api/v1', ...versions]) {
      const rows = rowsOf(scheme, path);
      if (rows.length > 0) paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hashOf(path, rows)}` };
    }
    return { paths };
  });
}

/** GET /openapi/v3/api/v1, /openapi/v3/apis/apps/v1: `path` is "api/v1" or "apis/apps/v1". Undefined when unknown. */
export function openApiV3(scheme: Scheme, path: string): OpenApiDocument | undefined {
  const rows = rowsOf(scheme, path);
  if (rows.length === 0) return undefined;
  const build = (): Json => {
    const schemas = new SchemaCollector(v3Dialect, unpackDocs());
    const paths = Object.assign({}, ...rows.map(row => pathsOf(row, v3Paths, schemas))) as Json;
    return { openapi: '3.0.0', info, paths, components: { schemas: schemas.schemas } };
  };
  return cached(scheme, path, build, hashOf(path, rows));
}

/** GET /openapi/v2 as JSON. */
export function openApiV2(scheme: Scheme): OpenApiDocument {
  return cached(scheme, 'v2', () => buildV2(scheme));
}

/** GET /openapi/v2 in protobuf: the same document. */
export function openApiV2Protobuf(scheme: Scheme): OpenApiDocument {
  return cached(scheme, 'v2+protobuf', () => buildV2(scheme), undefined, encodeOpenApiV2);
}

function buildV2(scheme: Scheme): Json {
  const schemas = new SchemaCollector(v2Dialect, unpackDocs());
  const paths = Object.assign({}, ...[...scheme].map(row => pathsOf(row, v2Paths, schemas))) as Json;
  return { swagger: '2.0', info, paths, definitions: schemas.schemas };
}

const v3Paths: PathDialect = {
  parameter: (name, place, type, description) => ({
    name,
    in: place,
    description,
    ...(place === 'path' ? { required: true } : {}),
    schema: { type, uniqueItems: true },
  }),
  operation: ({ parameters, body, answer, rest }) => ({
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body
      ? { requestBody: { content: Object.fromEntries(body.mediaTypes.map(t => [t, { schema: body.schema }])) } }
      : {}),
    responses: { '200': { description: 'OK', content: { 'application/json': { schema: answer } } } },
    ...rest,
  }),
};

const v2Paths: PathDialect = {
  parameter: (name, place, type, description) => ({
    name,
    in: place,
    description,
    type,
    uniqueItems: true,
    ...(place === 'path' ? { required: true } : {}),
  }),
  operation: ({ parameters, body, answer, rest }) => ({
    consumes: body?.mediaTypes ?? ['*/*'],
    produces: ['application/json'],
    parameters: body ? [...parameters, { name: 'body', in: 'body', schema: body.schema }] : parameters,
    responses: { '200': { description: 'OK', schema: answer } },
    ...rest,
  }),
};
