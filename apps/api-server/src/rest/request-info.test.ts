import { parsePath } from './request-info';

const base = {
  group: '',
  version: 'v1',
  namespace: '',
  resource: '',
  name: '',
  subresource: '',
  rest: '',
  watch: false,
};

test.each([
  ['/api/v1/pods', { resource: 'pods' }],
  ['/api/v1/namespaces/a/pods/b', { namespace: 'a', resource: 'pods', name: 'b' }],
  ['/api/v1/namespaces/a/pods/b/log', { namespace: 'a', resource: 'pods', name: 'b', subresource: 'log' }],
  ['/api/v1/namespaces', { resource: 'namespaces' }],
  ['/api/v1/namespaces/a', { resource: 'namespaces', name: 'a' }],
  ['/api/v1/namespaces/a/finalize', { resource: 'namespaces', name: 'a', subresource: 'finalize' }],
  ['/api/v1/nodes/n/proxy/logs/a%2Fb', { resource: 'nodes', name: 'n', subresource: 'proxy', rest: '/logs/a%2Fb' }],
  ['/api/v1/nodes/n/proxy/', { resource: 'nodes', name: 'n', subresource: 'proxy', rest: '/' }],
  ['/api/v1/nodes/n/proxy', { resource: 'nodes', name: 'n', subresource: 'proxy' }],
  ['/api/v1/nodes/n/proxy//a/', { resource: 'nodes', name: 'n', subresource: 'proxy', rest: '//a/' }],
  ['/api/v1/watch/namespaces/a/pods', { namespace: 'a', resource: 'pods', watch: true }],
  ['/apis/apps/v1/namespaces/a/deployments/', { group: 'apps', namespace: 'a', resource: 'deployments' }],
  [
    '/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode',
    { group: 'rbac.authorization.k8s.io', resource: 'clusterroles', name: 'system:node' },
  ],
])('%s is a resource', (path, expected) => {
  expect(parsePath(path)).toEqual({ path, resource: { ...base, ...expected } });
});

test.each(['/', '/api', '/api/v1', '/apis', '/apis/apps', '/apis/apps/v1', '/healthz', '/openapi/v3/apis/apps/v1'])(
  '%s is none',
  path => expect(parsePath(path)).toEqual({ path }),
);

test('a path that cannot be decoded is a bad request', () => {
  expect(() => parsePath('/api/v1/pods/%zz')).toThrow(expect.objectContaining({ reason: 'BadRequest' }));
});
