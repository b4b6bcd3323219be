import { okJson } from '../testing/expect-reply';
import { eventually, startTestServer, type Reply, type TestServer } from '../testing/test-server';

// Upstream's tests of server-side field validation: what is sent, and which words come back.
let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
  for (const [kind, schema] of Object.entries(schemas)) await define(kind, schema);
});
afterAll(() => api.close());

const group = 'validated.example.com';
const preserve = { 'x-kubernetes-preserve-unknown-fields': true };
const port = { type: 'object', required: ['containerPort', 'protocol'] };
const properties = {
  foo: { type: 'string' },
  cronSpec: { type: 'string', pattern: '^(\\d+|\\*)(/\\d+)?(\\s+(\\d+|\\*)(/\\d+)?){4}$' },
  ports: {
    type: 'array',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['containerPort', 'protocol'],
    items: {
      ...port,
      properties: {
        containerPort: { type: 'integer', format: 'int32' },
        name: { type: 'string' },
        protocol: { type: 'string' },
      },
    },
  },
};
const template = {
  type: 'object',
  'x-kubernetes-embedded-resource': true,
  properties: {
    metadata: { type: 'object', properties: { name: { type: 'string' } } },
    spec: { type: 'object' },
  },
};
const withSpec = (spec: object): object => ({ type: 'object', properties: { spec: { type: 'object', ...spec } } });
const schemas = {
  Closed: withSpec({ properties }),
  Open: { type: 'object', ...preserve },
  Embedding: withSpec({ ...preserve, properties: { ...properties, template } }),
};

const collection = (kind: string): string => `/apis/${group}/v1/${kind.toLowerCase()}s`;

async function define(kind: string, openAPIV3Schema: object): Promise<void> {
  const singular = kind.toLowerCase();
  const version = { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } };
  const body = {
    metadata: { name: `${singular}s.${group}` },
    spec: { group, scope: 'Cluster', names: { plural: `${singular}s`, singular, kind }, versions: [version] },
  };
  await okJson(api.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', body), 201);
  await eventually(async () => (await api.call('GET', collection(kind))).code === 200);
}

const ports = ['  ports:', '  - name: x', '    containerPort: 80', '    protocol: TCP'];

/** Applies an object, strictly, whose YAML ends in these lines. */
function apply(kind: keyof typeof schemas, metadata: string[], ...rest: string[]): Promise<Reply> {
  const head = ['', `apiVersion: ${group}/v1`, `kind: ${kind}`, 'metadata:', '  name: mytest', ...metadata];
  const body = [...head, '  finalizers:', '  - test-finalizer', ...rest, '  cronSpec: "* * * * */5"', ...ports];
  const query = 'fieldManager=field_validation_mgr&fieldValidation=Strict';
  const headers = { 'content-type': 'application/apply-patch+yaml' };
  return api.call('PATCH', `${collection(kind)}/mytest?${query}`, body.join('\n'), { headers });
}

const deployments = '/apis/apps/v1/namespaces/default/deployments';
const labels = { app: 'nginx' };
const pods = { metadata: { labels }, spec: { containers: [{ name: 'nginx', image: 'nginx:latest' }] } };

describe('strict field validation', () => {
  const create = (metadata: object, spec: string): Promise<Reply> => {
    const written = JSON.stringify({ name: 'my-dep', labels, ...metadata });
    const rest = JSON.stringify({ selector: { matchLabels: labels }, template: pods }).slice(1, -1);
    const body = `{"apiVersion":"apps/v1","kind":"Deployment","metadata":${written},"spec":{${spec}${rest}}}`;
    return api.call('POST', `${deployments}?fieldManager=field_validation_mgr&fieldValidation=Strict`, body);
  };

  test('finds fields of a deployment that are unknown or there twice, in its metadata too', async () => {
    const twice = await okJson(create({}, '"unknownField":"foo","replicas":2,"replicas":3,'), 400);
    expect(twice['message']).toContain(
      'strict decoding error: unknown field "spec.unknownField", duplicate field "spec.replicas"',
    );
    const unknown = await okJson(create({ unknownMeta: 'foo' }, ''), 400);
    expect(unknown['message']).toContain('strict decoding error: unknown field "metadata.unknownMeta"');
  });

  test('takes a custom resource that its schema knows, and anything where there is none', async () => {
    expect(await okJson(apply('Closed', [], 'spec:', '  foo: foo1'), 201)).toMatchObject({
      metadata: { finalizers: ['test-finalizer'] },
      spec: { foo: 'foo1', cronSpec: '* * * * */5' },
    });
    expect(await okJson(apply('Open', [], 'spec:', '  unknown: uk1'), 201)).toMatchObject({ spec: { unknown: 'uk1' } });
  });

  test('finds what a schema does not declare, at the top and in the metadata of embedded objects', async () => {
    const { text } = await apply('Closed', [], 'unknownField: unknown', 'spec:', '  foo: foo1');
    expect(text).toContain('.unknownField: field not declared in schema');
    const embedded = ['apiVersion: foo/v1', 'kind: Sub', 'metadata:', '    unknownSubMeta: unknown', '    name: sub'];
    const lines = ['spec:', '  template:', ...embedded.map(line => `    ${line}`), '  foo: foo1'];
    const both = (await apply('Embedding', ['  unknownMeta: unknown'], ...lines)).text;
    for (const path of ['.metadata.unknownMeta', '.spec.template.metadata.unknownSubMeta'])
      expect(both).toContain(`${path}: field not declared in schema`);
  });

  test('finds a key that is there twice in YAML, also where everything is kept', async () => {
    const { code, json } = await apply('Embedding', [], 'spec:', '  unknown: uk1', '  foo: foo1', '  foo: foo2');
    expect(code).toBe(400);
    expect(json['message']).toContain('line 11: key "foo" already set in map');
  });
});

test('a patch that says something twice, or what nobody knows, is refused or warned of as fieldValidation says', async () => {
  const maps = '/api/v1/namespaces/default/configmaps';
  await okJson(api.call('POST', maps, { metadata: { name: 'patched' } }), 201);
  const patch = (type: string, body: string, query: string): Promise<Reply> =>
    api.call('PATCH', `${maps}/patched${query}`, body, { headers: { 'content-type': `application/${type}+json` } });
  const merge = '{"data":{"a":"1","a":"2"},"other":1}';
  const operations =
    '[{"op":"add","path":"/x","path":"/data","value":{"a":"3"},"foo":1},{"op":"test","path":"/kind","value":"ConfigMap"}]';
  const unknown = 'unknown field "other"';
  for (const [type, body, complaints] of [
    ['merge-patch', merge, ['duplicate field "data.a"', unknown]],
    ['strategic-merge-patch', merge, ['duplicate field "data.a"', unknown]],
    ['json-patch', operations, ['json patch unknown field "[0].foo"', 'json patch duplicate field "[0].path"']],
  ] as const) {
    const refused = await okJson(patch(type, body, '?fieldValidation=Strict'), 422);
    const shown = type === 'strategic-merge-patch' ? 'map[' : '{';
    expect(refused['message']).toContain(` "" is invalid: patch: Invalid value: "${shown}`);
    expect(refused['message']).toContain(`: strict decoding error: ${complaints.join(', ')}`);
    const warned = await patch(type, body, '');
    const warnings = complaints.map(complaint => `299 - "${complaint.replaceAll('"', '\\"')}"`).join(', ');
    expect([warned.code, String(warned.headers['warning'])]).toEqual([200, warnings]);
    const taken = await patch(type, body, '?fieldValidation=Ignore');
    expect([taken.code, taken.headers['warning']]).toEqual([200, undefined]);
  }
  expect((await api.call('GET', `${maps}/patched`)).json['data']).toEqual({ a: '3' });
});

describe('a key that is there twice in YAML', () => {
  const said = 'line 4: key "foo" already set in map';
  const yaml = (name: string): string => `metadata: {name: ${name}}\ndata:\n  foo: a\n  foo: b\n`;
  const post = (name: string, query: string): Promise<Reply> =>
    api.call('POST', `/api/v1/namespaces/default/configmaps${query}`, yaml(name), {
      headers: { 'content-type': 'application/yaml' },
    });

  test('is found in YAML that is JSON too', async () => {
    const headers = { 'content-type': 'application/yaml' };
    const json = '{\n"metadata": {"name": "json"},\n"data": {\n"foo": "a", "foo": "b"}}';
    const url = '/api/v1/namespaces/default/configmaps';
    const refused = await okJson(api.call('POST', `${url}?fieldValidation=Strict`, json, { headers }), 400);
    expect(refused['message']).toContain(`strict decoding error: yaml: unmarshal errors:\n  ${said}`);
    const applied = { 'content-type': 'application/apply-patch+yaml' };
    const query = 'fieldManager=tester&fieldValidation=Strict';
    const other = await okJson(api.call('PATCH', `${url}/json?${query}`, json, { headers: applied }), 400);
    expect(other['message']).toContain(`error strict decoding YAML: yaml: unmarshal errors:\n  ${said}`);
  });

  test('is refused, warned of or taken as fieldValidation says: the last one counts', async () => {
    const refused = await okJson(post('strict', '?fieldValidation=Strict'), 400);
    expect(refused['message']).toContain(`strict decoding error: yaml: unmarshal errors:\n  ${said}`);
    for (const query of ['', '?fieldValidation=Warn', '?fieldValidation=Ignore']) {
      const { code, headers, json } = await post(`map${query.length}`, query);
      expect([code, json['data']]).toEqual([201, { foo: 'b' }]);
      expect(String(headers['warning'])).toBe(
        query.endsWith('Ignore') ? 'undefined' : `299 - "${said.replaceAll('"', '\\"')}"`,
      );
    }
  });
});

test('warnings that would be more than a header holds are cut, and those beyond are left out', async () => {
  const unknown = Object.fromEntries(Array.from({ length: 40 }, (_, index) => [`${index}${'x'.repeat(10_000)}`, 1]));
  const body = { metadata: { name: 'talkative' }, ...unknown };
  const { code, headers } = await api.call('POST', '/api/v1/namespaces/default/configmaps', body);
  const warnings = String(headers['warning']).split('299 - ').slice(1);
  expect([code, warnings.length]).toEqual([201, 16]);
  expect(Math.max(...warnings.map(text => text.length))).toBeLessThan(300);
});

describe('a patch of a wrong type', () => {
  const maps = '/api/v1/namespaces/default/configmaps';
  const patch = (type: string, body: object): Promise<Reply> =>
    api.call('PATCH', `${maps}/typed?fieldManager=tester`, JSON.stringify(body), {
      headers: { 'content-type': `application/${type}` },
    });
  beforeAll(async () => {
    await okJson(api.call('POST', maps, { metadata: { name: 'typed' }, data: { a: '1' } }), 201);
  });

  const wrongData = 'json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string';
  test.each([
    ['merge-patch+json', { data: ['b'] }, `"{`, wrongData],
    ['json-patch+json', [{ op: 'replace', path: '/data', value: ['b'] }], `"{`, wrongData],
    ['strategic-merge-patch+json', { data: ['b', 2] }, '"map[data:[b 2]]"', 'cannot restore map from slice'],
    ['strategic-merge-patch+json', { immutable: 'no' }, '"map[immutable:no]"', 'unrecognized type: bool'],
  ])('is invalid, and says why in the words of its kind: %s of %j', async (type, body, shown, why) => {
    const { message, details } = await okJson(patch(type, body), 422);
    expect(message).toContain(` "" is invalid: patch: Invalid value: ${shown}`);
    expect(message).toMatch(new RegExp(`: ${why.replaceAll(/[[\]]/g, '\\$&')}$`));
    expect(details).toMatchObject({ causes: [{ reason: 'FieldValueInvalid', field: 'patch' }] });
  });

  test.each<[body: { [field: string]: unknown; metadata?: object }, why: string]>([
    [{ data: { a: 5 } }, '.data.a: expected string, got &value.valueUnstructured{Value:5}'],
    [{ immutable: 'no' }, '.immutable: expected boolean, got &{no}'],
    [
      { data: ['b'], metadata: { generation: 'x', finalizers: ['a/b', 'a/b'] } },
      [
        'errors:',
        '.data: expected map, got &{[b]}',
        '.metadata.generation: expected numeric (int or float), got string',
        '.metadata.finalizers: duplicate entries for key [="a/b"]',
      ].join('\n  '),
    ],
  ])('fails in server-side apply, with the place of each value: %j', async (body, why) => {
    const metadata = { name: 'typed', ...(body.metadata ?? {}) };
    const config = { apiVersion: 'v1', kind: 'ConfigMap', ...body, metadata };
    const { message } = await okJson(patch('apply-patch+yaml', { ...config }), 500);
    expect(message).toBe(`failed to create typed patch object (default/typed; v1, Kind=ConfigMap): ${why}`);
  });
});
