import { rmSync } from 'node:fs';
import path from 'node:path';
import { GrpcObjectsClient } from '@naru/client';
import { LmdbDriver } from '@naru/store';
import { isDefinitionConditionTrue, type CustomResourceDefinition, type KubeObject } from '@naru/api';
import { within } from '@naru/testing';
import { eventually, startTestServer, type TestServer } from '../testing/test-server';
import { widgetDefinition } from '../testing/widget-definition';

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const widgets = '/apis/example.com/v1/namespaces/default/widgets';
type Widget = KubeObject & { spec: Record<string, unknown>; status?: Record<string, unknown> };

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

const widget = (name: string, spec: object = {}): object => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name },
  spec: { size: 'small', ...spec },
});
const create = (name: string, spec: object = {}, query = '') => api.call('POST', widgets + query, widget(name, spec));
const get = async (name: string): Promise<Widget> => (await api.call('GET', `${widgets}/${name}`)).json as never;
const merge = (url: string, body: object) =>
  api.call('PATCH', url, body, { headers: { 'content-type': 'application/merge-patch+json' } });
const established = (name: string): Promise<CustomResourceDefinition> =>
  eventually(async () => {
    const { json } = await api.call('GET', `${definitions}/${name}`);
    const crd = json as unknown as CustomResourceDefinition;
    return isDefinitionConditionTrue(crd, 'Established') ? crd : undefined;
  });
const define = async (crd: CustomResourceDefinition): Promise<CustomResourceDefinition> => {
  const reply = await api.call('POST', definitions, crd);
  expect([reply.code, reply.json['message']]).toEqual([201, undefined]);
  return established(crd.metadata?.name ?? '');
};
const served = (url = widgets): Promise<true> =>
  eventually(async () => (await api.call('GET', url)).code === 200 || undefined);

describe('a served custom resource', () => {
  beforeAll(async () => {
    await define(widgetDefinition());
    await served();
  });

  test('is established with its names and the version that is stored', async () => {
    const crd = await established('widgets.example.com');
    expect(crd.status).toMatchObject({
      acceptedNames: { plural: 'widgets', singular: 'widget', kind: 'Widget', listKind: 'WidgetList' },
      storedVersions: ['v1'],
      conditions: [
        { type: 'NamesAccepted', status: 'True', reason: 'NoConflicts' },
        { type: 'Established', status: 'True', reason: 'InitialNamesAccepted' },
      ],
    });
  });

  test('shows in discovery and OpenAPI', async () => {
    const list = (await api.call('GET', '/apis/example.com/v1')).json as unknown as {
      resources: { name: string; shortNames?: string[] }[];
    };
    expect(list.resources.map(({ name }) => name)).toEqual(['widgets', 'widgets/scale', 'widgets/status']);
    expect(list.resources[0]).toMatchObject({ shortNames: ['wd'], categories: ['all'], kind: 'Widget' });
    const headers = { accept: 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' };
    expect((await api.call('GET', '/apis', undefined, { headers })).text).toContain('"resource":"widgets"');
    const v3 = (await api.call('GET', '/openapi/v3/apis/example.com/v1')).text;
    expect(v3).toContain('How large the widget is.');
    expect((await api.call('GET', '/openapi/v2')).text).toContain('com.example.v1.Widget');
  });

  test('gets defaults, and loses what its schema does not know', async () => {
    const reply = await create('defaults', {
      unknown: 1,
      free: { a: { b: 1 } },
      port: 'http',
      ports: [{ name: 'a', extra: true }],
      template: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, spec: { anything: [] } },
    });
    expect(reply.code).toBe(201);
    expect(reply.headers['warning']).toContain('unknown field \\"spec.unknown\\"');
    expect((await get('defaults')).spec).toEqual({
      size: 'small',
      replicas: 1,
      free: { a: { b: 1 } },
      port: 'http',
      ports: [{ name: 'a', number: 80 }],
      template: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, spec: { anything: [] } },
    });
  });

  test('refuses unknown fields when it is asked to be strict', async () => {
    const reply = await create('strict', { unknown: 1 }, '?fieldValidation=Strict');
    expect(reply.code).toBe(400);
    expect(reply.json['message']).toContain('strict decoding error: unknown field "spec.unknown"');
  });

  test.each<[object, string]>([
    [
      { replicas: 'string' },
      'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"',
    ],
    [{ replicas: -1 }, 'spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0'],
    [{ size: 'huge' }, 'spec.size: Unsupported value: "huge": supported values: "small", "large"'],
    [{ size: undefined }, 'spec.size: Required value'],
    [{ note: 'x'.repeat(11) }, 'spec.note: Too long: may not be more than 10 bytes'],
    [{ color: 'RED' }, `spec.color: Invalid value: "RED": spec.color in body should match '^[a-z]+$'`],
    [{ tags: ['a', 'a'] }, 'spec.tags[1]: Duplicate value: "a"'],
    [{ ports: [{ name: 'a' }, { name: 'a' }] }, 'spec.ports[1]: Duplicate value: {"name":"a"}'],
    [
      { port: true },
      'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
    ],
    [{ size: null }, 'spec.size: Invalid value: "null": spec.size in body must be of type string: "null"'],
    [{ template: { kind: 'Pod' } }, 'spec.template.apiVersion: Required value: must not be empty'],
    [{ replicas: 3, maxReplicas: 2 }, 'spec.replicas: Invalid value: at most 2 replicas'],
  ])('with a spec of %j is refused', async (spec, message) => {
    const reply = await create('wrong', spec);
    expect(reply.code).toBe(422);
    expect(reply.json['message']).toContain(`Widget.example.com "wrong" is invalid: `);
    expect(reply.json['message']).toContain(message);
  });

  test('keeps null where its schema allows it', async () => {
    await create('null', { note: null });
    expect((await get('null')).spec).toEqual({ size: 'small', replicas: 1, note: null });
  });

  test('is held to its transition rules', async () => {
    await create('still');
    const reply = await merge(`${widgets}/still`, { spec: { size: 'large' } });
    expect(reply.code).toBe(422);
    expect(reply.json['message']).toContain('spec: Forbidden: size is immutable');
    expect((await merge(`${widgets}/still`, { spec: { replicas: 2 } })).code).toBe(200);
  });

  test('separates status from spec, and counts the changes of the spec', async () => {
    await create('split');
    await merge(`${widgets}/split/status`, { spec: { replicas: 9 }, status: { replicas: 4, selector: 'app=x' } });
    expect(await get('split')).toMatchObject({
      spec: { replicas: 1 },
      status: { replicas: 4 },
      metadata: { generation: 1 },
    });
    await merge(`${widgets}/split`, { spec: { replicas: 2 }, status: { replicas: 0 } });
    expect(await get('split')).toMatchObject({
      spec: { replicas: 2 },
      status: { replicas: 4 },
      metadata: { generation: 2 },
    });
    await merge(`${widgets}/split`, { metadata: { labels: { a: 'b' } } });
    expect((await get('split')).metadata?.generation).toBe(2);
  });

  test('scales', async () => {
    await create('scaled');
    await merge(`${widgets}/scaled/status`, { status: { replicas: 1, selector: 'app=x' } });
    const scale = await api.call('GET', `${widgets}/scaled/scale`);
    expect(scale.json).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 1 },
      status: { replicas: 1, selector: 'app=x' },
    });
    await merge(`${widgets}/scaled/scale`, { spec: { replicas: 5 } });
    expect((await get('scaled')).spec['replicas']).toBe(5);
    const wrong = await merge(`${widgets}/scaled/scale`, { spec: { replicas: -5 } });
    expect(wrong.code).toBe(422);
  });

  test('takes JSON patches and no strategic ones', async () => {
    await create('patched');
    const json = await api.call('PATCH', `${widgets}/patched`, [{ op: 'add', path: '/spec/color', value: 'red' }], {
      headers: { 'content-type': 'application/json-patch+json' },
    });
    expect(json.code).toBe(200);
    const strategic = await api.call(
      'PATCH',
      `${widgets}/patched`,
      {},
      {
        headers: { 'content-type': 'application/strategic-merge-patch+json' },
      },
    );
    expect(strategic.code).toBe(415);
  });

  test('is updated only by those who say of which version', async () => {
    await create('unversioned');
    const reply = await api.call('PUT', `${widgets}/unversioned`, widget('unversioned', { replicas: 3 }));
    expect(reply.json['message']).toContain(
      'metadata.resourceVersion: Invalid value: 0: must be specified for an update',
    );
    const current = await get('unversioned');
    expect((await api.call('PUT', `${widgets}/unversioned`, { ...current, spec: { size: 'small' } })).code).toBe(200);
  });

  test('is selected by its fields, and shown in its columns', async () => {
    await create('blue', { color: 'blue' });
    await merge(`${widgets}/blue/status`, { status: { conditions: [{ type: 'Ready', status: 'True' }] } });
    const headers = { accept: 'application/json;as=Table;g=meta.k8s.io;v=v1' };
    const table = (await api.call('GET', `${widgets}?fieldSelector=spec.color%3Dblue`, undefined, { headers })).json;
    expect(table).toMatchObject({
      columnDefinitions: [
        { name: 'Name' },
        { name: 'Size' },
        { name: 'Ready' },
        { name: 'Replicas', priority: 1 },
        { name: 'Age' },
      ],
      rows: [{ cells: ['blue', 'small', 'True', 1, expect.stringMatching(/^\d+s$/)] }],
    });
    expect((await api.call('GET', `${widgets}?fieldSelector=spec.size%3Dsmall`)).code).toBe(400);
  });

  test('is served by gRPC too, to the controllers that collect and empty', async () => {
    await create('asked');
    const client = new GrpcObjectsClient(`127.0.0.1:${api.grpcPort}`, {
      ca: api.files.ca,
      certificate: api.files.certificate('controller-manager'),
      key: api.files.key('controller-manager'),
    });
    const type = { group: 'example.com', version: 'v1', resource: 'widgets', kind: 'Widget', namespaced: true };
    const { items } = await client.list(type, { namespace: 'default' });
    expect(items.map(({ metadata }) => metadata.name)).toContain('asked');
    const key = { namespace: 'default', name: 'asked' };
    await client.patch(type, key, { type: 'merge', body: { metadata: { labels: { a: 'b' } } } });
    await client.delete(type, key);
    client.close();
  });

  test('obeys roles as any resource', async () => {
    expect((await api.call('GET', widgets, undefined, { token: 'nobody-token' })).code).toBe(403);
  });
});

test('a definition that is changed takes effect at once, and so does its end', async () => {
  const base = '/apis/example.com/v1/namespaces/default/gadgets';
  const crd = await define(
    widgetDefinition(o => {
      o.metadata = { name: 'gadgets.example.com' };
      o.spec.names = { plural: 'gadgets', kind: 'Gadget' };
    }),
  );
  await served(base);
  const gadget = {
    apiVersion: 'example.com/v1',
    kind: 'Gadget',
    metadata: { name: 'a', finalizers: ['example.com/hold'] },
    spec: { size: 'small' },
  };
  expect((await api.call('POST', base, gadget)).code).toBe(201);
  const properties = crd.spec.versions[0]!.schema!.openAPIV3Schema!.properties!['spec']!.properties!;
  properties['added'] = { type: 'string', default: 'here' };
  expect((await api.call('PUT', `${definitions}/gadgets.example.com`, crd)).code).toBe(200);
  await eventually(async () => {
    const { json } = await api.call('GET', `${base}/a`);
    return (json as unknown as Widget).spec['added'] === 'here' || undefined;
  });

  const deleted = await api.call('DELETE', `${definitions}/gadgets.example.com`);
  expect(deleted.json).toMatchObject({ metadata: { finalizers: ['customresourcecleanup.apiextensions.k8s.io'] } });
  await eventually(async () => {
    const { json } = await api.call('GET', `${base}/a`);
    return (json as unknown as Widget).metadata?.deletionTimestamp;
  });
  const refused = await eventually(async () => {
    const reply = await api.call('POST', base, { ...gadget, metadata: { name: 'b' } });
    return reply.code === 405 ? reply : undefined;
  });
  expect(refused.code).toBe(405);
  await merge(`${base}/a`, { metadata: { finalizers: null } });
  await eventually(async () => (await api.call('GET', `${definitions}/gadgets.example.com`)).code === 404 || undefined);
  expect((await api.call('GET', base)).code).toBe(404);
  expect((await api.call('GET', '/apis/example.com/v1')).text).not.toContain('gadgets');
});

test('names that are taken are not given twice, and come free', async () => {
  const other = widgetDefinition(o => {
    o.metadata = { name: 'others.example.com' };
    o.spec.names = { plural: 'others', kind: 'Widget' };
  });
  expect((await api.call('POST', definitions, other)).code).toBe(201);
  const conflict = await eventually(async () => {
    const { json } = await api.call('GET', `${definitions}/others.example.com`);
    return (json as unknown as CustomResourceDefinition).status?.conditions?.find(c => c.type === 'NamesAccepted');
  });
  expect(conflict).toMatchObject({
    status: 'False',
    reason: expect.stringContaining('KindConflict'),
    message: expect.stringContaining('is already in use'),
  });
  expect((await api.call('GET', '/apis/example.com/v1/others')).code).toBe(404);
  await api.call('DELETE', `${definitions}/others.example.com`);
  await eventually(async () => (await api.call('GET', `${definitions}/others.example.com`)).code === 404 || undefined);
});

test.each<[string, (crd: CustomResourceDefinition) => void, string]>([
  [
    'another name',
    o => (o.metadata = { name: 'x.example.com' }),
    'metadata.name: Invalid value: "x.example.com": must be spec.names.plural+"."+spec.group',
  ],
  [
    'no storage version',
    o => (o.spec.versions[0]!.storage = false),
    'spec.versions: Invalid value: must have exactly one version marked as storage version',
  ],
  ['a group without a dot', o => (o.spec.group = 'example'), 'should be a domain with at least one dot'],
  [
    'an unknown scope',
    o => (o.spec.scope = 'Galaxy'),
    'spec.scope: Unsupported value: "Galaxy": supported values: "Cluster", "Namespaced"',
  ],
  ['no schema', o => delete o.spec.versions[0]!.schema, 'spec.versions[0].schema.openAPIV3Schema: Required value'],
  [
    'a field without a type',
    o => (o.spec.versions[0]!.schema!.openAPIV3Schema!.properties!['spec']!.properties!['x'] = {}),
    'spec.versions[0].schema.openAPIV3Schema.properties[spec].properties[x].type: Required value: must not be empty for specified object fields',
  ],
  [
    'a wrong default',
    o => (o.spec.versions[0]!.schema!.openAPIV3Schema!.properties!['spec']!.properties!['replicas']!.default = 'x'),
    'must be of type integer',
  ],
  [
    'a wrong rule',
    o =>
      (o.spec.versions[0]!.schema!.openAPIV3Schema!.properties!['spec']!['x-kubernetes-validations']![0]!.rule =
        'self.missing == 1'),
    "undefined field 'missing'",
  ],
  [
    'a rule that does not parse',
    o =>
      (o.spec.versions[0]!.schema!.openAPIV3Schema!.properties!['spec']!['x-kubernetes-validations']![0]!.rule =
        'self. =='),
    'compilation failed: ERROR: <input>:1',
  ],
  [
    'a wrong path of the scale',
    o => (o.spec.versions[0]!.subresources!.scale!.specReplicasPath = '.status.x'),
    'should be a json path under .spec',
  ],
])('a definition with %s is refused', async (_, change, message) => {
  const reply = await api.call(
    'POST',
    definitions,
    widgetDefinition(o => {
      o.metadata = { name: 'wrongs.example.com' };
      o.spec.names = { plural: 'wrongs', kind: 'Wrong' };
      change(o);
    }),
  );
  expect(reply.code).toBe(422);
  expect(reply.json['message']).toContain(message);
});

test('a server that starts again serves what was defined', async () => {
  const first = api;
  api = await startTestServer();
  await define(
    widgetDefinition(o => {
      o.metadata = { name: 'lasting.example.com' };
      o.spec.names = { plural: 'lasting', kind: 'Lasting' };
      o.spec.versions[0]!.schema!.openAPIV3Schema!.properties!['spec']!.properties!['color']!.pattern = '^(a+)+$';
    }),
  );
  const url = '/apis/example.com/v1/namespaces/default/lasting';
  await served(url);
  const lasting = { apiVersion: 'example.com/v1', kind: 'Lasting', metadata: { name: 'a' }, spec: { size: 'small' } };
  expect((await api.call('POST', url, lasting)).code).toBe(201);
  const color = `${'a'.repeat(60)}!`;
  const slow = await within(5_000, () => api.call('POST', url, { ...lasting, spec: { size: 'small', color } }));
  expect(slow.code).toBe(422);
  await api.server.close();
  const again = await startTestServer({
    store: await LmdbDriver.open({ directory: path.join(api.folder, 'data') }),
    advertise: { address: '127.0.0.1', port: 6443 },
  });
  expect((await again.call('GET', `${url}/a`)).json).toMatchObject({ kind: 'Lasting', spec: { replicas: 1 } });
  await again.close();
  rmSync(api.folder, { recursive: true, force: true });
  api = first;
});
