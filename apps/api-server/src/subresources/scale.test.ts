import { startTestServer, type TestServer } from '../testing/test-server';

let api: TestServer;
const template = { metadata: { labels: { app: 'a' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
const selector = { matchLabels: { app: 'a' } };
const kinds = [
  { resource: 'deployments', root: '/apis/apps/v1', spec: { selector, template } },
  { resource: 'replicasets', root: '/apis/apps/v1', spec: { selector, template } },
  { resource: 'statefulsets', root: '/apis/apps/v1', spec: { selector, template, serviceName: 's' } },
  { resource: 'replicationcontrollers', root: '/api/v1', spec: { selector: { app: 'a' }, template } },
];

beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

test.each(kinds)('$resource are scaled by update, by every patch and by server-side apply', async kind => {
  const { resource, root, spec } = kind;
  const collection = `${root}/namespaces/default/${resource}`;
  const url = `${collection}/s/scale`;
  const owner = await api.call('POST', collection, { metadata: { name: 's' }, spec });
  expect((await api.call('GET', url)).json).toEqual({
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: {
      name: 's',
      namespace: 'default',
      uid: owner.json.metadata.uid,
      resourceVersion: owner.json.metadata.resourceVersion,
      creationTimestamp: owner.json.metadata.creationTimestamp,
    },
    spec: { replicas: 1 },
    status: { replicas: 0, selector: 'app=a' },
  });
  const shown = (await api.call('GET', url)).json;
  shown.spec.replicas = 2;
  expect((await api.call('PUT', url, shown)).json.spec).toEqual({ replicas: 2 });
  const patch = (type: string, body: unknown, query = '') =>
    api.call('PATCH', `${url}${query}`, body, { headers: { 'content-type': `application/${type}` } });
  const operation = { op: 'replace', path: '/spec/replicas', value: 3 };
  expect((await patch('json-patch+json', [operation])).json.spec).toEqual({ replicas: 3 });
  expect((await patch('merge-patch+json', { spec: { replicas: 4 } })).json.spec).toEqual({ replicas: 4 });
  expect((await patch('strategic-merge-patch+json', { spec: { replicas: 5 } })).json.spec).toEqual({ replicas: 5 });

  const config = { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 's' }, spec: { replicas: 6 } };
  const contested = await patch('apply-patch+yaml', config, '?fieldManager=scaler');
  expect(contested.code).toBe(409);
  expect(contested.json.details.causes).toMatchObject([{ reason: 'FieldManagerConflict', field: '.spec.replicas' }]);
  const applied = await patch('apply-patch+yaml', config, '?fieldManager=scaler&force=true');
  expect(applied.json).toMatchObject({ kind: 'Scale', spec: { replicas: 6 } });
  const { json } = await api.call('GET', `${collection}/s`);
  expect(json.spec.replicas).toBe(6);
  expect(json.metadata.managedFields).toContainEqual(
    expect.objectContaining({
      manager: 'scaler',
      operation: 'Apply',
      subresource: 'scale',
      fieldsV1: { 'f:spec': { 'f:replicas': {} } },
    }),
  );
});

test('a scale that cannot be is refused', async () => {
  const url = '/apis/apps/v1/namespaces/default/deployments/s/scale';
  const merge = { headers: { 'content-type': 'application/merge-patch+json' } };
  const negative = await api.call('PATCH', url, { spec: { replicas: -1 } }, merge);
  expect(negative.json.message).toContain('spec.replicas: Invalid value: -1: must be greater than or equal to 0');
  const apply = { headers: { 'content-type': 'application/apply-patch+yaml' } };
  const wrong = { apiVersion: 'apps/v1', kind: 'Deployment', spec: { replicas: 1 } };
  expect((await api.call('PATCH', `${url}?fieldManager=x`, wrong, apply)).code).toBe(400);
  expect((await api.call('GET', url.replace('/s/', '/missing/'))).code).toBe(404);
});
