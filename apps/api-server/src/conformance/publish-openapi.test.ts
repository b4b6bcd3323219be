import { mergePatch, okJson } from '../testing/expect-reply';
import { describeKubectl, Kubectl } from '../testing/kubectl';
import { eventually, startTestServer, type Reply, type TestServer } from '../testing/test-server';
import { watch } from '../testing/watch';

// Upstream's tests of custom resource definitions: what is published of them, and what becomes of it with changes.
let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const preserve = { 'x-kubernetes-preserve-unknown-fields': true };
const string = (description: string): object => ({ type: 'string', description });

const foo = {
  description: 'Foo CRD for Testing',
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      description: 'Specification of Foo',
      properties: {
        bars: {
          type: 'array',
          description: 'List of Bars and their specs.',
          items: {
            type: 'object',
            required: ['name'],
            properties: {
              name: string('Name of Bar.'),
              age: string('Age of Bar.'),
              feeling: { ...string('Whether Bar is feeling great.'), enum: ['Great', 'Down'] },
              bazs: { description: 'List of Bazs.', items: { type: 'string' }, type: 'array' },
            },
          },
        },
      },
    },
  },
};
const waldo = {
  description: 'Waldo CRD for Testing',
  type: 'object',
  properties: { spec: { type: 'object', properties: { dummy: string('Dummy property.') } } },
};

interface Definition {
  group: string;
  kind: string;
  versions: Record<string, object>;
}

const plural = (kind: string): string => `${kind.toLowerCase()}s`;
const nameOf = ({ group, kind }: Definition): string => `${plural(kind)}.${group}`;
const definitionName = ({ group, kind }: Definition, version: string): string =>
  `${group.split('.').reverse().join('.')}.${version}.${kind}`;

function bodyOf({ group, kind, versions }: Definition): Reply['json'] {
  const names = { plural: plural(kind), singular: kind.toLowerCase(), kind, listKind: `${kind}List` };
  return {
    metadata: { name: `${plural(kind)}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names,
      versions: Object.entries(versions).map(([name, openAPIV3Schema], i) => ({
        name,
        served: true,
        storage: i === 0,
        schema: { openAPIV3Schema },
      })),
    },
  };
}

const published = async (): Promise<Record<string, Reply['json']>> =>
  (await okJson(api.call('GET', '/openapi/v2')))['definitions'] as Record<string, Reply['json']>;

async function define(definition: Definition): Promise<void> {
  await okJson(api.call('POST', definitions, bodyOf(definition)), 201);
  for (const version of Object.keys(definition.versions))
    await eventually(async () => (await published())[definitionName(definition, version)] !== undefined);
}

describe('the OpenAPI of definitions', () => {
  test('tells two definitions apart, of different groups, and of one group and version', async () => {
    const all: Definition[] = [
      { group: 'one.example.com', kind: 'Foo', versions: { v1: foo } },
      { group: 'two.example.com', kind: 'Waldo', versions: { v1beta1: waldo } },
      { group: 'one.example.com', kind: 'Waldo', versions: { v1: waldo } },
    ];
    for (const definition of all) await define(definition);
    const schemas = await published();
    for (const definition of all) {
      const [version] = Object.keys(definition.versions);
      const schema = schemas[definitionName(definition, version!)]!;
      expect(schema['description']).toBe(`${definition.kind} CRD for Testing`);
      const gvk = { group: definition.group, kind: definition.kind, version };
      expect(schema['x-kubernetes-group-version-kind']).toEqual([gvk]);
    }
    for (const definition of all) await okJson(api.call('DELETE', `${definitions}/${nameOf(definition)}`));
    await eventually(async () => {
      const left = Object.keys(await published());
      return !left.some(name => name.includes('com.example.'));
    });
  });

  test('follows a version that gets another name, and one that is served no more', async () => {
    const definition: Definition = { group: 'versions.example.com', kind: 'Multi', versions: { v2: foo, v3: foo } };
    await define(definition);
    const url = `${definitions}/${nameOf(definition)}`;
    const change = (mutate: (versions: { name: string; served: boolean }[]) => void): Promise<unknown> =>
      eventually(async () => {
        const current = await okJson(api.call('GET', url));
        mutate(current['spec'].versions as { name: string; served: boolean }[]);
        return (await api.call('PUT', url, current)).code === 200;
      });
    const shown = async (): Promise<string[]> =>
      Object.keys(await published()).filter(
        name => name.includes('versions.Multi') || /versions\.v\d\.Multi$/.test(name),
      );
    const name = (version: string): string => definitionName(definition, version);
    await change(versions => (versions[1]!.name = 'v4'));
    await eventually(async () => (await shown()).sort().join() === [name('v2'), name('v4')].join());
    expect((await published())[name('v4')]).toMatchObject({ description: 'Foo CRD for Testing' });
    await change(versions => (versions[1]!.served = false));
    await eventually(async () => (await shown()).join() === name('v2'));
    expect((await published())[name('v2')]).toMatchObject({ description: 'Foo CRD for Testing' });
  });
});

describeKubectl('kubectl on published definitions', () => {
  let kubectl: Kubectl;
  const rows: [string, Definition, object | undefined, Record<string, RegExp>][] = [
    [
      'a schema',
      { group: 'schema.example.com', kind: 'Foo', versions: { v1: foo } },
      { spec: { bars: [{ name: 'test-bar' }] } },
      {
        foos: /DESCRIPTION:[^]*Foo CRD for Testing[^]*FIELDS:[^]*apiVersion[^]*<string>[^]*APIVersion defines[^]*spec[^]*<Object>[^]*Specification of Foo/,
        'foos.metadata': /DESCRIPTION:[^]*Standard object's metadata[^]*FIELDS:[^]*creationTimestamp[^]*<string>/,
        'foos.spec.bars':
          /FIELD: bars <\[\]Object>[^]*List of Bars and their specs[^]*bazs[^]*<\[\]string>[^]*List of Bazs[^]*name[^]*<string>[^]*Name of Bar/,
      },
    ],
    [
      'a schema that keeps everything',
      { group: 'root.example.com', kind: 'Rooted', versions: { v1: { type: 'object', ...preserve } } },
      { a: { b: [{ c: 'd' }] } },
      { rooteds: /KIND: +Rooted/ },
    ],
    [
      'a nested object that keeps everything',
      {
        group: 'nested.example.com',
        kind: 'Nested',
        versions: {
          v1: {
            type: 'object',
            description: 'preserve-unknown-properties in nested field for Testing',
            properties: { spec: { type: 'object', ...preserve } },
          },
        },
      },
      { spec: { b: [{ c: 'd' }] } },
      { nesteds: /DESCRIPTION:[^]*preserve-unknown-properties in nested field for Testing/ },
    ],
  ];
  beforeAll(async () => {
    kubectl = new Kubectl(api);
    await Promise.all(rows.map(([, definition]) => define(definition)));
  });

  test.each(rows)('creates, applies and explains objects of %s', async (_, { group, kind }, content, explained) => {
    const object = { apiVersion: `${group}/v1`, kind, metadata: { name: 'test-cr' }, ...content };
    const file = kubectl.file(`${kind}.json`, object);
    const resource = `${plural(kind)}.${group}`;
    for (const verb of ['create', 'apply']) {
      expect(await kubectl.ask(verb, '-f', file)).toMatch(/created/);
      const stored = await okJson(api.call('GET', `/apis/${group}/v1/namespaces/default/${plural(kind)}/test-cr`));
      expect(stored).toMatchObject(content ?? {});
      await kubectl.ask('delete', resource, 'test-cr');
    }
    const said = await Promise.all(Object.keys(explained).map(path => kubectl.ask('explain', path)));
    for (const [i, pattern] of Object.values(explained).entries()) expect(said[i]).toMatch(pattern);
  });

  test('refuses what the schema of a definition does not know or asks for', async () => {
    const refused = async (spec: object): Promise<string> => {
      const object = { apiVersion: 'schema.example.com/v1', kind: 'Foo', metadata: { name: 'refused' }, spec };
      const file = kubectl.file('refused.json', object);
      const [created, applied] = await Promise.all(
        ['create', 'apply'].map(verb => kubectl.complaint(verb, '-f', file)),
      );
      return `${created}\n${applied}`;
    };
    const twice = (text: string): RegExp => new RegExp(`${text}[^]*\n[^]*${text}`);
    expect(await refused({ foo: true })).toMatch(twice('unknown field "spec.foo"'));
    expect(await refused({ bars: [{ age: '10' }] })).toMatch(twice('spec.bars\\[0\\].name: Required value'));
    expect(await refused({ bars: [{ name: 'b', feeling: 'None' }] })).toMatch(twice('Unsupported value: "None"'));
    expect(await kubectl.complaint('explain', 'foos.spec.bars2')).toContain('field "bars2" does not exist');
  });
});

describe('a definition and its objects', () => {
  const definition: Definition = {
    group: 'life.example.com',
    kind: 'Noxu',
    versions: {
      v1: {
        type: 'object',
        properties: { spec: { type: 'object', properties: { a: { type: 'string', default: 'A' } } } },
      },
    },
  };
  const objects = '/apis/life.example.com/v1/namespaces/default/noxus';
  const url = `${definitions}/${nameOf(definition)}`;
  beforeAll(() => define(definition));

  test('are watched from creation to deletion', async () => {
    const watched = watch(api, objects);
    for (const name of ['name1', 'name2']) {
      const body = { apiVersion: 'life.example.com/v1', kind: 'Noxu', metadata: { name } };
      await okJson(api.call('POST', objects, body), 201);
      await watched.until('ADDED', ({ metadata }) => metadata.name === name);
    }
    for (const name of ['name1', 'name2']) {
      await okJson(api.call('PATCH', `${objects}/${name}`, { num: 2, spec: {} }, mergePatch));
      await watched.until('MODIFIED', ({ metadata }) => metadata.name === name);
    }
    for (const name of ['name1', 'name2']) {
      await okJson(api.call('DELETE', `${objects}/${name}`));
      await watched.until('DELETED', ({ metadata }) => metadata.name === name);
    }
    watched.stop();
  });

  test('have defaults in answers and in what was stored before there were any', async () => {
    const create = (name: string): Promise<Reply['json']> =>
      okJson(
        api.call('POST', objects, { apiVersion: 'life.example.com/v1', kind: 'Noxu', metadata: { name }, spec: {} }),
        201,
      );
    expect((await create('first'))['spec']).toEqual({ a: 'A' });
    const b = {
      op: 'add',
      path: '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/b',
      value: { type: 'string', default: 'B' },
    };
    await okJson(api.call('PATCH', url, [b], { headers: { 'content-type': 'application/json-patch+json' } }));
    await eventually(async () => (await okJson(api.call('GET', `${objects}/first`)))['spec'].b === 'B');
    expect((await create('second'))['spec']).toEqual({ a: 'A', b: 'B' });
  });

  test('are listed with others by label, deleted with them, and their status read and written', async () => {
    const labels = { 'e2e-list-test-uuid': 'one' };
    const query = 'labelSelector=e2e-list-test-uuid%3Done';
    for (const kind of ['Listed', 'Counted']) {
      const body = bodyOf({ group: 'list.example.com', kind, versions: { v1: { type: 'object', ...preserve } } });
      await okJson(api.call('POST', definitions, { ...body, metadata: { ...body['metadata'], labels } }), 201);
    }
    const list = (): Promise<Reply['json']> => okJson(api.call('GET', `${definitions}?${query}`));
    expect((await list())['items']).toHaveLength(2);
    await okJson(api.call('DELETE', `${definitions}?${query}`));
    await eventually(async () => (await list())['items'].length === 0);

    const condition = { type: 'StatusUpdate', status: 'True', reason: 'E2E', message: 'Set from an e2e test' };
    await eventually(async () => {
      const current = await okJson(api.call('GET', `${url}/status`));
      current['status'].conditions.push(condition);
      return (await api.call('PUT', `${url}/status`, current)).code === 200;
    });
    const patch = { status: { conditions: [{ ...condition, type: 'StatusPatched' }] } };
    const patched = await okJson(api.call('PATCH', `${url}/status`, patch, mergePatch));
    expect(patched['status'].conditions).toContainEqual(expect.objectContaining({ type: 'StatusPatched' }));
  });

  test('are in the discovery of groups, versions and resources, as their kind itself is', async () => {
    for (const [group, version, resource] of [
      ['apiextensions.k8s.io', 'v1', 'customresourcedefinitions'],
      ['life.example.com', 'v1', 'noxus'],
    ]) {
      const { groups } = await okJson(api.call('GET', '/apis'));
      const expected = { groupVersion: `${group}/${version}`, version };
      expect(groups).toContainEqual(expect.objectContaining({ name: group, versions: [expected] }));
      expect(await okJson(api.call('GET', `/apis/${group}`))).toMatchObject({ preferredVersion: expected });
      const { resources } = await okJson(api.call('GET', `/apis/${group}/${version}`));
      expect(resources).toContainEqual(expect.objectContaining({ name: resource }));
    }
  });

  test('are in the aggregated discovery beside what is built in, in the form that is asked for', async () => {
    const found = async (path: string): Promise<string[]> => {
      const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
      const { headers, json } = await api.call('GET', path, undefined, { headers: { accept } });
      expect(headers['content-type']).toBe(accept);
      expect(json).toMatchObject({ kind: 'APIGroupDiscoveryList', apiVersion: 'apidiscovery.k8s.io/v2' });
      return (json['items'] as Reply['json'][]).flatMap(({ metadata, versions }) =>
        (versions as Reply['json'][]).flatMap(each =>
          (each['resources'] as Reply['json'][]).map(({ resource }) =>
            [metadata.name, each['version'], resource].filter(Boolean).join(' '),
          ),
        ),
      );
    };
    const builtIn = [
      'admissionregistration.k8s.io v1 mutatingwebhookconfigurations',
      'admissionregistration.k8s.io v1 validatingwebhookconfigurations',
      'apps v1 daemonsets',
      'apps v1 deployments',
      'apps v1 replicasets',
      'apps v1 statefulsets',
      'apiextensions.k8s.io v1 customresourcedefinitions',
      'batch v1 jobs',
    ];
    const own = 'life.example.com v1 noxus';
    expect(await found('/apis')).toEqual(expect.arrayContaining([...builtIn, own]));
    expect(await found('/api')).toEqual(
      expect.arrayContaining(['namespaces', 'nodes', 'pods', 'secrets', 'services'].map(each => `v1 ${each}`)),
    );
  });
});
