import { gzipSync } from 'node:zlib';
import { definitions, kindSchema } from '@naru/api';
import { manifests } from './manifests';
import type { Random } from './random';
import { mutate, names, strings, surprise, toText, typedObject } from './values';

export interface FuzzRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer | undefined;
}

interface Resource {
  group: string;
  version: string;
  resource: string;
  kind: string;
  namespaced: boolean;
  subresources: readonly string[];
}

const resources: Resource[] = [
  ...definitions.map(({ type, subresources }) => ({
    ...type,
    subresources: [
      ...(subresources.status ? ['status'] : []),
      ...(subresources.scale ? ['scale'] : []),
      ...(subresources.special ?? []),
    ],
  })),
  {
    ...{ group: 'fuzz.example', version: 'v1', resource: 'widgets', kind: 'Widget', namespaced: true },
    subresources: ['status', 'scale'],
  },
];
/** What these do when they are stored changes what every later request meets; they are tried without being stored. */
const notKept = new Set(['admissionregistration.k8s.io', 'apiregistration.k8s.io']);

const methods = ['GET', 'GET', 'POST', 'POST', 'PUT', 'PATCH', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE', 'PURGE'];
const mediaTypes = [
  'application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'text/plain',
  'application/json; charset=utf-8',
  'application/cbor',
  '',
];
const patchTypes = [
  'application/merge-patch+json',
  'application/strategic-merge-patch+json',
  'application/json-patch+json',
  'application/apply-patch+yaml',
];
const accepts = [
  'application/json',
  'application/json;as=Table;v=v1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io',
  'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json',
  'application/yaml',
  'application/vnd.kubernetes.protobuf',
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList',
  '*/*',
  'text/html',
  ';;;',
];
const plainPaths = [
  ...['/', '/api', '/apis', '/api/v1', '/apis/apps', '/apis/apps/v1', '/version', '/healthz', '/livez/ping', '/readyz'],
  ...['/metrics', '/openapi/v2', '/openapi/v3', '/openapi/v3/apis/apps/v1', '/openapi/v3/nope', '/openid/v1/jwks'],
  ...['/.well-known/openid-configuration', '/naru/v1/ca', '/naru/v1/join', '/naru/v1/leave', '/livez?verbose'],
  ...['/api/v1/proxy', '/apis//v1/pods', '/api/v1/namespaces//pods', '//api/v1/pods', '/api/v1/pods/a/b/c/d'],
  ...['/api/v1/%00', '/api/v1/namespaces/%2e%2e/pods', '/api/v1/pods?%', '/%', '/api/v2/pods', '/apis/__proto__/v1/a'],
];
const queries: Record<string, readonly string[]> = {
  labelSelector: ['app=web', 'a in (b,c)', '!x', 'a=b,', ',,,', 'a in', 'x>1', '((('],
  fieldSelector: ['metadata.name=a', 'spec.nodeName=', 'status.phase!=Running', 'nope=1', '=', 'a==b==c'],
  limit: ['1', '0', '-1', 'x', '99999999999999999999', '1.5'],
  continue: ['x', '', 'eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIifQ', 'eyJ2IjoxfQ', '%00'],
  resourceVersion: ['0', '1', '-1', 'x', '999999999', '99999999999999999999', ''],
  resourceVersionMatch: ['Exact', 'NotOlderThan', 'x', ''],
  watch: ['1', 'true', 'false', 'x'],
  allowWatchBookmarks: ['true', 'x'],
  sendInitialEvents: ['true', 'false', 'x'],
  timeoutSeconds: ['1', '0', '-1', 'x', '1e9'],
  dryRun: ['All', 'x', ''],
  fieldManager: ['fuzz', 'x'.repeat(200), '\u0001'],
  fieldValidation: ['Strict', 'Warn', 'Ignore', 'x'],
  force: ['true', 'false', 'x'],
  propagationPolicy: ['Orphan', 'Background', 'Foreground', 'x'],
  gracePeriodSeconds: ['0', '-1', 'x', '5'],
  includeObject: ['None', 'Object', 'Metadata', 'x'],
  pretty: ['true'],
  container: ['main', 'x'],
  follow: ['true'],
  verbose: [''],
  exclude: ['ping', 'x'],
};

/** One request; the same for the same numbers. */
export function fuzzRequest(random: Random): FuzzRequest {
  if (random.chance(0.06)) return plain(random);
  const target = random.chance(0.3) ? random.pick(resources.filter(isWritten)) : random.pick(resources);
  const method = random.chance(0.97) ? random.pick(methods) : random.text(8).replace(/[^A-Za-z]/g, '') || 'GET';
  const withName = method !== 'POST' || random.chance(0.2);
  let path = target.group === '' ? `/api/${target.version}` : `/apis/${target.group}/${target.version}`;
  if (random.chance(0.01)) path += '/watch';
  if (target.namespaced ? random.chance(0.95) : random.chance(0.02))
    path += `/namespaces/${random.chance(0.9) ? 'default' : encode(random.pick(strings))}`;
  path += `/${random.chance(0.99) ? target.resource : encode(random.text(10))}`;
  if (withName && random.chance(0.85)) {
    path += `/${encode(random.chance(0.9) ? random.pick(names) : random.pick(strings))}`;
    if (random.chance(0.3))
      path += `/${random.pick([...target.subresources, 'status', 'nope', encode(random.pick(strings))])}`;
    if (random.chance(0.03)) path += `/${encode(random.text(8))}/`;
  }
  const query = queryOf(random);
  if (notKept.has(target.group) && method !== 'GET') query.set('dryRun', 'All');
  const headers = headersOf(random);
  const body = hasBody(method) || random.chance(0.05) ? bodyOf(random, target, method, headers) : undefined;
  return { method, path: query.size > 0 ? `${path}?${query}` : path, headers, body };
}

function plain(random: Random): FuzzRequest {
  const method = random.chance(0.7) ? 'GET' : random.pick(methods);
  const random1 = random.chance(0.3);
  const path = random1 ? `/${encode(random.text(30)).replaceAll('%2F', '/')}` : random.pick(plainPaths);
  const headers = headersOf(random);
  const body = hasBody(method) ? random.bytes(random.below(200)) : undefined;
  return { method, path, headers, body };
}

function isWritten({ group, resource }: Resource): boolean {
  return `${group}/${resource}` in manifests;
}

function hasBody(method: string): boolean {
  return method === 'POST' || method === 'PUT' || method === 'PATCH' || method === 'DELETE';
}

function encode(text: string): string {
  // A lone surrogate is no text that could be sent.
  return encodeURIComponent(Buffer.from(text).toString());
}

function queryOf(random: Random): URLSearchParams {
  const query = new URLSearchParams();
  while (random.chance(0.35)) {
    const name = random.pick(Object.keys(queries));
    query.append(name, random.chance(0.9) ? random.pick(queries[name]!) : random.text(20));
  }
  return query;
}

function headersOf(random: Random): Record<string, string> {
  const headers: Record<string, string> = {};
  if (random.chance(0.4)) headers['accept'] = random.pick(accepts);
  if (random.chance(0.2)) headers['accept-encoding'] = random.pick(['gzip', 'br', '*', 'identity;q=0']);
  if (random.chance(0.1)) headers['user-agent'] = random.text(30).replace(/[^\x20-\x7e]/g, '');
  if (random.chance(0.03)) headers['if-none-match'] = '"x"';
  if (random.chance(0.02)) headers['impersonate-user'] = random.pick(['x', 'system:admin']);
  return headers;
}

function bodyOf(random: Random, target: Resource, method: string, headers: Record<string, string>): Buffer {
  headers['content-type'] =
    method === 'PATCH' ? random.pick(patchTypes) : random.pick(['application/json', 'application/json', ...mediaTypes]);
  if (random.chance(0.02)) headers['content-type'] = random.pick([...mediaTypes, ...patchTypes]);
  if (random.chance(0.05)) return random.bytes(random.below(500));
  const value =
    method === 'PATCH' && random.chance(0.5)
      ? patchOf(random)
      : method === 'DELETE' && random.chance(0.7)
        ? optionsOf(random)
        : objectOf(random, target);
  let text = toText(value);
  if (random.chance(0.05)) text = text.slice(0, random.below(text.length));
  if (random.chance(0.03)) text = text.replace('"metadata"', '"metadata":{},"metadata"');
  const bytes = Buffer.from(text);
  if (bytes.length > 0 && random.chance(0.03)) bytes[random.below(bytes.length)] = random.below(256);
  if (!random.chance(0.03)) return bytes;
  headers['content-encoding'] = 'gzip';
  return random.chance(0.7) ? gzipSync(bytes) : bytes;
}

function objectOf(random: Random, { group, version, resource, kind }: Resource): unknown {
  const known = manifests[`${group}/${resource}`];
  const type = kindSchema(group, version, kind);
  const made =
    known && (!type || random.chance(0.6))
      ? (structuredClone(known) as Record<string, unknown>)
      : type
        ? typedObject(random, type)
        : {};
  const apiVersion = group === '' ? version : `${group}/${version}`;
  let object: unknown = { apiVersion, kind, ...made };
  const metadata = (object as { metadata?: unknown }).metadata;
  if (typeof metadata !== 'object' || metadata === null || random.chance(0.7))
    object = {
      ...(object as object),
      apiVersion,
      kind,
      metadata: { name: random.pick(names), ...(known as { metadata?: object })?.metadata },
    };
  for (let i = random.pick([0, 0, 1, 1, 2, 5]); i > 0; i--) object = mutate(random, object);
  return object;
}

function patchOf(random: Random): unknown {
  if (random.chance(0.5)) {
    const op = (): unknown => ({
      op: random.pick(['add', 'remove', 'replace', 'move', 'copy', 'test', 'nope']),
      path: random.pick([
        '/metadata/labels',
        '/metadata/labels/a~1b',
        '/spec',
        '/spec/replicas',
        '/spec/template/spec/containers/-',
        '',
        '/',
        '/x/0/y',
        '/metadata/name',
        '/spec/containers/0',
      ]),
      from: random.pick(['/spec', '/metadata', '/metadata/labels', '']),
      value: surprise(random),
    });
    return Array.from({ length: random.below(5) }, op);
  }
  const field = random.pick([
    'metadata',
    'spec',
    'status',
    'data',
    '$patch',
    '$retainKeys',
    '$setElementOrder/containers',
    'kind',
  ]);
  const inner = random.chance(0.5)
    ? {
        containers: [{ name: 'main', $patch: random.pick(['delete', 'replace', 'merge', 'x']) }],
        '$setElementOrder/containers': surprise(random),
      }
    : surprise(random);
  return {
    [field]: inner,
    ...(random.chance(0.3) ? { metadata: { labels: surprise(random), finalizers: surprise(random) } } : {}),
  };
}

function optionsOf(random: Random): unknown {
  const options = {
    kind: 'DeleteOptions',
    apiVersion: 'v1',
    propagationPolicy: random.pick(['Orphan', 'Background', 'Foreground']),
    gracePeriodSeconds: random.pick([0, 1, -1]),
    preconditions: { uid: 'x', resourceVersion: '1' },
  };
  return random.chance(0.3) ? { propagationPolicy: 'Background' } : mutate(random, options);
}
