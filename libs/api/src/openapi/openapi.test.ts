import { definitions } from '../scheme/definitions';
import { Scheme } from '../scheme/scheme';
import type { JsonSchema } from '../extensions/types';
import { openApiV2, openApiV3, openApiV3Index, type OpenApiDocument } from './openapi';
import { SchemaCollector, v2Dialect } from './schemas';

const scheme = new Scheme(definitions);
interface Schema {
  description?: string;
  properties: Record<string, Record<string, unknown>>;
}
interface Operation {
  parameters: { name: string }[];
  [extension: string]: unknown;
}
interface Document {
  paths: Record<string, Record<string, Operation> & { serverRelativeURL?: string }>;
  components: { schemas: Record<string, Schema & Record<string, unknown>> };
  definitions: Record<string, Schema>;
}

function parse(document: OpenApiDocument | undefined): Document {
  return JSON.parse(Buffer.from(document?.bytes ?? '').toString()) as Document;
}

/** Every $ref of a document. */
function refs(value: unknown, found = new Set<string>()): Set<string> {
  if (Array.isArray(value)) value.forEach(item => refs(item, found));
  else if (typeof value === 'object' && value !== null)
    for (const [key, item] of Object.entries(value)) {
      if (key === '$ref' && typeof item === 'string') found.add(item);
      else refs(item, found);
    }
  return found;
}

test('the index lists every group version with the hash of its document', () => {
  const { paths } = parse(openApiV3Index(scheme));
  expect(Object.keys(paths)).toEqual(expect.arrayContaining(['api/v1', 'apis/apps/v1', 'apis/events.k8s.io/v1']));
  expect(paths['apis/apps/v1']?.serverRelativeURL).toBe(
    `/openapi/v3/apis/apps/v1?hash=${openApiV3(scheme, 'apis/apps/v1')?.hash}`,
  );
});

test('every v3 document is complete in itself', () => {
  for (const path of Object.keys(parse(openApiV3Index(scheme)).paths)) {
    const document = parse(openApiV3(scheme, path));
    for (const ref of refs(document)) expect(document.components.schemas).toHaveProperty([ref.split('/').pop()!]);
  }
});

test('the patch of a kind takes fieldValidation, which kubectl looks for', () => {
  const document = parse(openApiV3(scheme, 'apis/apps/v1'));
  const patch = document.paths['/apis/apps/v1/namespaces/{namespace}/deployments/{name}']?.['patch'];
  expect(patch?.['x-kubernetes-group-version-kind']).toEqual({ group: 'apps', kind: 'Deployment', version: 'v1' });
  expect(patch?.parameters.map(p => p.name)).toContain('fieldValidation');
});

test('lists carry their merge keys, and kinds their names', () => {
  const { schemas } = parse(openApiV3(scheme, 'api/v1')).components;
  expect(schemas['io.k8s.api.core.v1.PodSpec']?.properties['containers']).toMatchObject({
    type: 'array',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['name'],
    'x-kubernetes-patch-merge-key': 'name',
    'x-kubernetes-patch-strategy': 'merge',
  });
  expect(schemas['io.k8s.api.core.v1.PodSpec']?.properties['volumes']?.['x-kubernetes-patch-strategy']).toBe(
    'merge,retainKeys',
  );
  expect(schemas['io.k8s.api.core.v1.Pod']?.['x-kubernetes-group-version-kind']).toEqual([
    { group: '', kind: 'Pod', version: 'v1' },
  ]);
  expect(schemas['io.k8s.api.core.v1.Pod']?.description).toContain('Pod is a collection of containers');
});

test('the v2 document is complete in itself', () => {
  const document = parse(openApiV2(scheme));
  for (const ref of refs(document)) expect(document.definitions).toHaveProperty([ref.split('/').pop()!]);
  expect(document.paths['/api/v1/pods']?.['get']).toBeDefined();
});

test('the v2 schema of a custom kind names no field where unknown ones may be', () => {
  const type = { group: 'example.com', version: 'v1', kind: 'Widget', resource: 'widgets', namespaced: true };
  const schemaOf = (schema: JsonSchema): unknown => {
    const collector = new SchemaCollector(v2Dialect, []);
    return collector.schemas[collector.addCustom({ type, schema })];
  };
  const open: JsonSchema = {
    type: 'object',
    properties: { a: { type: 'string' } },
    'x-kubernetes-preserve-unknown-fields': true,
  };
  const typeMeta = { 'x-kubernetes-group-version-kind': [{ group: 'example.com', version: 'v1', kind: 'Widget' }] };
  expect(schemaOf(open)).toEqual({ type: 'object', ...typeMeta });
  expect(schemaOf({ type: 'object', properties: { spec: open } })).toMatchObject({
    properties: { metadata: {}, spec: { 'x-kubernetes-preserve-unknown-fields': true } },
  });
});

test('a document is made once until the scheme changes', () => {
  const own = new Scheme(definitions);
  const first = openApiV3(own, 'apis/apps/v1');
  expect(openApiV3(own, 'apis/apps/v1')).toBe(first);
  own.remove(own.byKind('apps', 'v1', 'Deployment')!);
  expect(openApiV3(own, 'apis/apps/v1')?.hash).not.toBe(first?.hash);
});

test('an unknown group version has no document', () => {
  for (const path of ['apis/nope/v1', 'api/v2', 'api', '']) expect(openApiV3(scheme, path)).toBeUndefined();
});
