import { startTestServer, tokens, type TestServer } from '../testing/test-server';

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

const group = 'rbac.authorization.k8s.io';
const rbac = `/apis/${group}/v1`;
const asNobody = { token: tokens.nobody };

function role(kind: 'Role' | 'ClusterRole', name: string, rules: object[]): object {
  return { apiVersion: `${group}/v1`, kind, metadata: { name }, rules };
}

function bindingOf(kind: 'Role' | 'ClusterRole', name: string, role: string, user: string): object {
  return {
    apiVersion: `${group}/v1`,
    kind: `${kind}Binding`,
    metadata: { name },
    roleRef: { apiGroup: group, kind, name: role },
    subjects: [{ kind: 'User', name: user, apiGroup: group }],
  };
}

/** Gives the user without rights these ones, everywhere. */
async function grant(name: string, rules: object[]): Promise<void> {
  expect((await api.call('POST', `${rbac}/clusterroles`, role('ClusterRole', name, rules))).code).toBe(201);
  const binding = bindingOf('ClusterRole', name, name, 'nobody');
  expect((await api.call('POST', `${rbac}/clusterrolebindings`, binding)).code).toBe(201);
}

async function revoke(name: string): Promise<void> {
  await api.call('DELETE', `${rbac}/clusterrolebindings/${name}`);
  await api.call('DELETE', `${rbac}/clusterroles/${name}`);
}

describe('the writer of roles', () => {
  const rules = [
    { verbs: ['create', 'update', 'patch'], apiGroups: [group], resources: ['roles', 'rolebindings', 'clusterroles'] },
    { verbs: ['get', 'list'], apiGroups: [''], resources: ['pods'] },
  ];
  beforeAll(() => grant('role-writer', rules));
  afterAll(() => revoke('role-writer'));
  const roles = `${rbac}/namespaces/default/roles`;
  const bindings = `${rbac}/namespaces/default/rolebindings`;

  test('grants what they have and nothing else', async () => {
    const own = role('Role', 'own', [{ verbs: ['get'], apiGroups: [''], resources: ['pods'] }]);
    expect((await api.call('POST', roles, own, asNobody)).code).toBe(201);
    const more = role('Role', 'more', [{ verbs: ['get', 'delete', 'watch'], apiGroups: [''], resources: ['pods'] }]);
    const { code, json } = await api.call('POST', roles, more, asNobody);
    expect([code, json['message']]).toEqual([
      403,
      'roles.rbac.authorization.k8s.io "more" is forbidden: user "nobody" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete" "watch"]}',
    ]);
    const patch = { rules: [{ verbs: ['*'], apiGroups: [''], resources: ['pods'] }] };
    const headers = { 'content-type': 'application/merge-patch+json' };
    expect((await api.call('PATCH', `${roles}/own`, patch, { ...asNobody, headers })).code).toBe(403);
    const label = { metadata: { labels: { a: 'b' } } };
    expect((await api.call('PATCH', `${roles}/own`, label, { ...asNobody, headers })).code).toBe(200);
  });

  test('needs escalate to grant more than they have', async () => {
    await grant('escalator', [{ verbs: ['escalate'], apiGroups: [group], resources: ['roles'] }]);
    const more = role('Role', 'escalated', [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }]);
    expect((await api.call('POST', roles, more, asNobody)).code).toBe(201);
    await revoke('escalator');
  });

  test('binds roles that they have, or may bind', async () => {
    const strong = role('Role', 'strong', [{ verbs: ['delete'], apiGroups: [''], resources: ['secrets'] }]);
    await api.call('POST', roles, strong);
    const refused = await api.call('POST', bindings, bindingOf('Role', 'a', 'strong', 'x'), asNobody);
    expect(refused.json['message']).toContain('{APIGroups:[""], Resources:["secrets"], Verbs:["delete"]}');
    const missing = await api.call('POST', bindings, bindingOf('Role', 'a', 'missing', 'x'), asNobody);
    expect(missing.code).toBe(404);
    const bind = { verbs: ['bind'], apiGroups: [group], resources: ['roles'], resourceNames: ['strong'] };
    await grant('binder', [bind]);
    expect((await api.call('POST', bindings, bindingOf('Role', 'a', 'strong', 'x'), asNobody)).code).toBe(201);
    await revoke('binder');
  });

  test('needs every right to aggregate roles', async () => {
    const aggregated = {
      ...role('ClusterRole', 'all', []),
      aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: 'b' } }] },
    };
    const { json } = await api.call('POST', `${rbac}/clusterroles`, aggregated, asNobody);
    expect(json['message']).toContain('must have cluster-admin privileges to use the aggregationRule');
  });
});

describe('impersonation', () => {
  const whoAmI = (headers: Record<string, string>, token: string = tokens.admin) =>
    api.call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, { token, headers });

  test('makes an administrator act as somebody else', async () => {
    const headers = {
      'Impersonate-User': 'jane',
      'Impersonate-Group': 'dev',
      'Impersonate-Uid': '7',
      'Impersonate-Extra-Example.com%2Fscope': 'a',
    };
    const { json } = await whoAmI(headers);
    expect(json['status'].userInfo).toEqual({
      username: 'jane',
      uid: '7',
      groups: ['dev', 'system:authenticated'],
      extra: { 'example.com/scope': ['a'] },
    });
    const pods = await api.call('GET', '/api/v1/namespaces/default/pods', undefined, { headers });
    expect(pods.json['message']).toContain('User "jane" cannot list resource "pods"');
    const account = await whoAmI({ 'Impersonate-User': 'system:serviceaccount:ns:sa' });
    expect(account.json['status'].userInfo.groups).toEqual([
      'system:serviceaccounts',
      'system:serviceaccounts:ns',
      'system:authenticated',
    ]);
  });

  test('needs leave for each part of the identity', async () => {
    const refused = await whoAmI({ 'Impersonate-User': 'jane' }, tokens.nobody);
    expect([refused.code, refused.json['message']]).toEqual([
      403,
      'users "jane" is forbidden: User "nobody" cannot impersonate resource "users" in API group "" at the cluster scope',
    ]);
    await grant('impersonator', [
      { verbs: ['impersonate'], apiGroups: [''], resources: ['users'], resourceNames: ['jane'] },
    ]);
    expect((await whoAmI({ 'Impersonate-User': 'jane' }, tokens.nobody)).code).toBe(201);
    for (const more of ['Impersonate-Group', 'Impersonate-Uid', 'Impersonate-Extra-Scope'])
      expect((await whoAmI({ 'Impersonate-User': 'jane', [more]: 'x' }, tokens.nobody)).code).toBe(403);
    expect((await whoAmI({ 'Impersonate-User': 'joe' }, tokens.nobody)).code).toBe(403);
    await revoke('impersonator');
  });

  test('of a group alone is refused', async () => {
    const { code, json } = await whoAmI({ 'Impersonate-Group': 'dev' });
    expect([code, json['message']]).toMatchObject([400, expect.stringContaining('without impersonating a user')]);
  });
});

describe('a review', () => {
  const url = (kind: string): string => `/apis/authorization.k8s.io/v1/${kind}`;
  test.each([
    ['subjectaccessreviews', { spec: 'x' }, 400],
    ['subjectaccessreviews', { spec: { user: 7 } }, 400],
    ['subjectaccessreviews', { spec: { user: 'a', groups: 'b', resourceAttributes: {} } }, 400],
    ['subjectaccessreviews', { spec: { user: 'a', extra: { k: 'v' }, resourceAttributes: {} } }, 400],
    ['subjectaccessreviews', [], 400],
    ['subjectaccessreviews', { spec: { user: 'a' } }, 422],
    ['subjectaccessreviews', { spec: { resourceAttributes: {} } }, 422],
    ['subjectaccessreviews', { spec: { user: 'a', resourceAttributes: {}, nonResourceAttributes: {} } }, 422],
    ['selfsubjectaccessreviews', { spec: { resourceAttributes: 'x' } }, 400],
    ['selfsubjectaccessreviews', {}, 422],
    ['selfsubjectrulesreviews', {}, 422],
    ['selfsubjectaccessreviews', { spec: { resourceAttributes: { verb: 'get' } } }, 201],
  ])('of %s with the body %j is answered with %i', async (kind, body, code) => {
    expect((await api.call('POST', url(kind), body)).code).toBe(code);
  });

  test('of a namespace asks about that namespace only', async () => {
    const local = '/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews';
    const ask = (namespace: string) =>
      api.call('POST', local, {
        spec: { user: 'a', resourceAttributes: { namespace, verb: 'get', resource: 'pods' } },
      });
    expect((await ask('default')).code).toBe(201);
    expect((await ask('other')).json['message']).toContain('must match metadata.namespace');
  });
});
