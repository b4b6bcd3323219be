import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { eventually } from '@naru/testing';
import { startTestServer, tokens, type TestServer } from '../testing/test-server';

const namespace = '/api/v1/namespaces/default';
let api: TestServer;
let health: Server;
beforeAll(async () => {
  api = await startTestServer();
  health = createServer((request, response) => response.end(request.url === '/healthz' ? 'ok\n' : 'elsewhere'));
  await new Promise<void>(resolve => health.listen(0, '127.0.0.1', resolve));
  const { port } = health.address() as AddressInfo;
  await api.call('POST', '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases', {
    metadata: { name: 'kube-scheduler' },
    spec: { holderIdentity: `host_10.0.0.1_${port}` },
  });
});
afterAll(async () => {
  health.close();
  await api.close();
});

test('component statuses tell what the processes answer', async () => {
  // Who takes two seconds to answer is not healthy.
  const headers = await eventually(async () => {
    const { json, headers } = await api.call('GET', '/api/v1/componentstatuses');
    expect(json).toMatchObject({ kind: 'ComponentStatusList', apiVersion: 'v1' });
    const conditions = (json.items as { metadata: { name: string }; conditions: unknown[] }[]).map(item => [
      item.metadata.name,
      ...item.conditions,
    ]);
    expect(conditions).toEqual([
      [
        'controller-manager',
        { type: 'Healthy', status: 'False', error: 'nobody holds the lease kube-system/kube-controller-manager' },
      ],
      ['etcd-0', { type: 'Healthy', status: 'True', message: 'ok' }],
      ['scheduler', { type: 'Healthy', status: 'True', message: 'ok' }],
    ]);
    return headers;
  });
  expect(headers['warning']).toContain('v1 ComponentStatus is deprecated in v1.19+');
  expect((await api.call('GET', '/api/v1/componentstatuses/scheduler')).json.metadata.name).toBe('scheduler');
  expect((await api.call('GET', '/api/v1/componentstatuses/nobody')).code).toBe(404);
  expect((await api.call('DELETE', '/api/v1/componentstatuses/scheduler')).code).toBe(405);
});

test('a binding that is posted to its collection puts the pod on its node', async () => {
  await api.call('POST', `${namespace}/serviceaccounts`, { metadata: { name: 'default' } });
  const spec = { containers: [{ name: 'c', image: 'i' }] };
  await api.call('POST', `${namespace}/pods`, { metadata: { name: 'p' }, spec });
  const binding = { metadata: { name: 'p' }, target: { kind: 'Node', name: 'n' } };
  expect((await api.call('POST', `${namespace}/bindings`, binding, { token: tokens.nobody })).code).toBe(403);
  expect((await api.call('POST', `${namespace}/bindings`, binding)).code).toBe(201);
  expect((await api.call('GET', `${namespace}/pods/p`)).json.spec.nodeName).toBe('n');
  expect((await api.call('GET', `${namespace}/bindings`)).code).toBe(405);
});

const access = { resourceAttributes: { verb: 'get', resource: 'pods', namespace: 'default' } };
test.each([
  [
    'authentication.k8s.io',
    'TokenReview',
    { token: tokens.admin },
    { authenticated: true, user: { username: 'admin' } },
  ],
  ['authentication.k8s.io', 'SelfSubjectReview', {}, { userInfo: { username: 'admin' } }],
  ['authorization.k8s.io', 'SelfSubjectAccessReview', access, { allowed: true }],
  ['authorization.k8s.io', 'SubjectAccessReview', { ...access, user: 'jane' }, { allowed: false }],
  ['authorization.k8s.io', 'LocalSubjectAccessReview', { ...access, user: 'jane' }, { allowed: false }],
  ['authorization.k8s.io', 'SelfSubjectRulesReview', { namespace: 'default' }, { incomplete: false }],
])('a review is answered when it is posted: %s %s', async (group, kind, spec, status) => {
  const apiVersion = `${group}/v1`;
  const place = kind.startsWith('Local') ? 'namespaces/default/' : '';
  const url = `/apis/${apiVersion}/${place}${kind.toLowerCase()}s`;
  const { code, json } = await api.call('POST', url, { apiVersion, kind, spec });
  expect(code).toBe(201);
  expect(json).toMatchObject({ apiVersion, kind, status });
  expect((await api.call('GET', url)).code).toBe(405);
});

test('who uses Endpoints is told what is used now', async () => {
  const { headers } = await api.call('GET', `${namespace}/endpoints`);
  expect(headers['warning']).toContain('v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice');
});
