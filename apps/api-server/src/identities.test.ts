import type { ClusterRole, Stored } from '@naru/api';
import { eventually, startTestServer, tokens, type TestServer } from './testing/test-server';

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  expect((await api.call('POST', '/api/v1/namespaces/default/serviceaccounts', account)).code).toBe(201);
});
afterAll(() => api.close());

const pod = (name: string, spec: object = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: 'web' } },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
});
const pods = '/api/v1/namespaces/default/pods';

describe('identities', () => {
  test('without rights are told so in upstream words', async () => {
    const { json } = await api.call('GET', `${pods}/x`, undefined, { token: tokens.nobody });
    expect(json).toMatchObject({
      code: 403,
      message:
        'pods "x" is forbidden: User "nobody" cannot get resource "pods" in API group "" in the namespace "default"',
    });
    expect((await api.call('GET', pods, undefined, { token: 'wrong' })).code).toBe(401);
    const anonymous = await api.call('GET', pods, undefined, { token: '' });
    expect(anonymous.json['message']).toContain('User "system:anonymous" cannot list resource "pods"');
    expect((await api.call('GET', '/version', undefined, { token: '' })).code).toBe(200);
    expect((await api.call('GET', '/metrics', undefined, { token: '' })).code).toBe(403);
  });

  test('gain rights by a role binding at once', async () => {
    const group = 'rbac.authorization.k8s.io';
    const url = `/apis/${group}/v1/namespaces/default/rolebindings`;
    await api.call('POST', url, {
      apiVersion: `${group}/v1`,
      kind: 'RoleBinding',
      metadata: { name: 'viewer' },
      roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'view' },
      subjects: [{ kind: 'User', name: 'nobody', apiGroup: group }],
    });
    expect((await api.call('GET', pods, undefined, { token: tokens.nobody })).code).toBe(200);
    expect((await api.call('GET', '/api/v1/pods', undefined, { token: tokens.nobody })).code).toBe(403);
    expect((await api.call('POST', pods, pod('no'), { token: tokens.nobody })).code).toBe(403);
    await api.call('DELETE', `${url}/viewer`);
    expect((await api.call('GET', pods, undefined, { token: tokens.nobody })).code).toBe(403);
  });

  test('of nodes may read what their pods refer to, and nothing else', async () => {
    const secrets = '/api/v1/namespaces/default/secrets';
    for (const name of ['mine', 'other'])
      await api.call('POST', secrets, { apiVersion: 'v1', kind: 'Secret', metadata: { name } });
    const volumes = [{ name: 's', secret: { secretName: 'mine' } }];
    await api.call('POST', pods, pod('reader', { nodeName: 'node-1', volumes }));
    const node = { identity: 'node-1' };
    expect((await api.call('GET', `${secrets}/mine`, undefined, node)).code).toBe(200);
    const refused = await api.call('GET', `${secrets}/other`, undefined, node);
    expect(refused.json['message']).toContain(`no relationship found between node 'node-1' and this object`);
    expect((await api.call('GET', secrets, undefined, node)).code).toBe(403);
    const status = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-2' } };
    expect((await api.call('POST', '/api/v1/nodes', status, node)).code).toBe(403);
    const own = await api.call('POST', '/api/v1/nodes', { ...status, metadata: { name: 'node-1' } }, node);
    expect(own.code).toBe(201);
    expect(own.json['spec'].taints).toEqual([{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }]);
  });

  test('of nodes may read their own Node and their own pods, and no others', async () => {
    const node = { identity: 'node-1' };
    const get = async (path: string) => api.call('GET', path, undefined, node);
    await api.call('POST', pods, pod('here', { nodeName: 'node-1' }));
    await api.call('POST', pods, pod('there', { nodeName: 'node-2' }));
    const mine = await get('/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-1');
    expect(mine.code).toBe(200);
    expect(mine.json['items'].map((item: { spec: { nodeName: string } }) => item.spec.nodeName)).toContain('node-1');
    expect((await get(`${pods}/here`)).code).toBe(200);
    expect((await get(`${pods}/gone`)).code).toBe(404);
    for (const path of ['/api/v1/pods?fieldSelector=spec.nodeName%3Dnode-2', '/api/v1/pods', '/api/v1/pods?watch=1'])
      expect((await get(path)).json['message']).toContain('can only list/watch pods with spec.nodeName field selector');
    expect((await get(`${pods}/there`)).code).toBe(403);
    expect((await get('/api/v1/nodes/node-2')).json['message']).toContain(
      "node 'node-1' cannot read 'node-2', only its own Node object",
    );
    expect((await get('/api/v1/nodes')).json['message']).toContain("node 'node-1' cannot read all nodes");
    expect((await get('/api/v1/nodes?fieldSelector=metadata.name%3Dnode-1')).code).toBe(200);
  });

  test('of nodes may read a persistent volume only when a pod of theirs claims it', async () => {
    const volume = (name: string) => ({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/a' } },
    });
    for (const name of ['volume-mine', 'volume-other'])
      expect((await api.call('POST', '/api/v1/persistentvolumes', volume(name))).code).toBe(201);
    const spec = {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '1Gi' } },
      volumeName: 'volume-mine',
      storageClassName: '',
    };
    const claim = { apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'claim' }, spec };
    expect((await api.call('POST', '/api/v1/namespaces/default/persistentvolumeclaims', claim)).code).toBe(201);
    const volumes = [{ name: 'v', persistentVolumeClaim: { claimName: 'claim' } }];
    await api.call('POST', pods, pod('claimer', { nodeName: 'node-1', volumes }));
    const node = { identity: 'node-1' };
    expect((await api.call('GET', '/api/v1/persistentvolumes/volume-mine', undefined, node)).code).toBe(200);
    expect((await api.call('GET', '/api/v1/persistentvolumes/volume-other', undefined, node)).code).toBe(403);
  });

  test('with a role in a namespace may read the namespace, and not write where its Services send', async () => {
    const namespaces = '/api/v1/namespaces';
    await api.call('POST', namespaces, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'theirs' } });
    const url = '/apis/rbac.authorization.k8s.io/v1/namespaces/theirs/rolebindings';
    const group = 'rbac.authorization.k8s.io';
    await api.call('POST', url, {
      metadata: { name: 'admin' },
      roleRef: { apiGroup: group, kind: 'ClusterRole', name: 'admin' },
      subjects: [{ kind: 'User', name: 'nobody', apiGroup: group }],
    });
    const nobody = { token: tokens.nobody };
    const get = async (path: string) => api.call('GET', `${namespaces}/${path}`, undefined, nobody);
    expect((await get('theirs')).code).toBe(200);
    expect((await get('default')).json['message']).toBe(
      'namespaces "default" is forbidden: User "nobody" cannot get resource "namespaces" in API group "" in the namespace "default"',
    );
    expect((await get('theirs/endpoints')).code).toBe(200);
    const endpoints = { apiVersion: 'v1', kind: 'Endpoints', metadata: { name: 'e' } };
    expect((await api.call('POST', `${namespaces}/theirs/endpoints`, endpoints, nobody)).code).toBe(403);
  });

  test('have roles in namespaces that are put together of parts, to which others may add', async () => {
    const url = '/apis/rbac.authorization.k8s.io/v1/clusterroles';
    const roles = (await api.call('GET', url)).json['items'] as Stored<ClusterRole>[];
    const rulesOf = (name: string): string[] => {
      const { aggregationRule, rules } = roles.find(({ metadata }) => metadata.name === name)!;
      const [selector] = aggregationRule?.clusterRoleSelectors ?? [];
      expect(selector?.matchLabels).toEqual({ [`rbac.authorization.k8s.io/aggregate-to-${name}`]: 'true' });
      const parts = roles.filter(({ metadata }) => metadata.labels?.[Object.keys(selector!.matchLabels!)[0]!]);
      const own = new Set(rules?.map(rule => JSON.stringify(rule)));
      expect(own).toEqual(new Set(parts.flatMap(part => part.rules ?? []).map(rule => JSON.stringify(rule))));
      return [...own];
    };
    const [view, edit, admin] = ['view', 'edit', 'admin'].map(rulesOf);
    expect(edit).toEqual(expect.arrayContaining(view!));
    expect(admin).toEqual(expect.arrayContaining(edit!));
    expect(admin!.length).toBeGreaterThan(edit!.length);
  });

  test('with a right to one object may list it by its name', async () => {
    const url = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
    const group = 'rbac.authorization.k8s.io';
    const rules = [{ verbs: ['list'], apiGroups: [''], resources: ['configmaps'], resourceNames: ['one'] }];
    await api.call('POST', `${url}/roles`, { metadata: { name: 'one' }, rules });
    await api.call('POST', `${url}/rolebindings`, {
      metadata: { name: 'one' },
      roleRef: { apiGroup: group, kind: 'Role', name: 'one' },
      subjects: [{ kind: 'User', name: 'nobody', apiGroup: group }],
    });
    const list = async (name: string) =>
      api.call('GET', `/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3D${name}`, undefined, {
        token: tokens.nobody,
      });
    expect((await list('one')).code).toBe(200);
    expect((await list('two')).code).toBe(403);
  });

  test('of service accounts get tokens that end with their pod', async () => {
    const { json: bound } = await api.call('POST', pods, pod('tokened'));
    const url = '/api/v1/namespaces/default/serviceaccounts/default/token';
    const ref = { kind: 'Pod', apiVersion: 'v1', name: 'tokened', uid: bound['metadata'].uid };
    const { code, json } = await api.call('POST', url, { spec: { boundObjectRef: ref, expirationSeconds: 600 } });
    expect(code).toBe(201);
    const token = json['status'].token as string;
    const review = await api.call('POST', '/apis/authentication.k8s.io/v1/selfsubjectreviews', {}, { token });
    expect(review.json['status'].userInfo).toMatchObject({
      username: 'system:serviceaccount:default:default',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
    });
    await api.call('DELETE', `${pods}/tokened`);
    expect((await api.call('GET', '/version', undefined, { token })).code).toBe(401);
    expect((await api.call('POST', url, { spec: { expirationSeconds: 10 } })).code).toBe(422);
  });

  test('can ask what they may do', async () => {
    const url = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    const spec = { resourceAttributes: { verb: 'list', resource: 'pods', namespace: 'default' } };
    expect((await api.call('POST', url, { spec })).json['status'].allowed).toBe(true);
    const { json } = await api.call('POST', url, { spec }, { token: tokens.nobody });
    expect(json['status'].allowed).toBe(false);
  });
});

describe('the server itself', () => {
  test('says that it is well, in detail when asked', async () => {
    expect((await api.call('GET', '/healthz', undefined, { token: '' })).text).toBe('ok');
    const { text } = await api.call('GET', '/readyz?verbose');
    expect(text).toContain('[+]poststarthook/bootstrap ok');
    expect(text).toContain('readyz check passed');
    expect((await api.call('GET', '/version')).json['gitVersion']).toBe('v1.36.0+naru');
  });

  test('counts its requests', async () => {
    const counted = await eventually(async () => {
      const { text } = await api.call('GET', '/metrics');
      return /apiserver_request_total\{verb="CREATE".*resource="pods".*code="201"\} \d+/.test(text) ? text : undefined;
    });
    expect(counted).toContain('apiserver_request_duration_seconds_bucket');
    expect(counted).toContain('apiserver_current_inflight_requests');
  });

  test('shows events through both of their groups', async () => {
    const events = '/api/v1/namespaces/default/events';
    const involvedObject = { kind: 'Pod', name: 'x', namespace: 'default' };
    await api.call('POST', events, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'e' },
      involvedObject,
      message: 'm',
    });
    const other = '/apis/events.k8s.io/v1/namespaces/default/events';
    expect((await api.call('GET', `${other}/e`)).json).toMatchObject({ note: 'm', regarding: { name: 'x' } });
    const found = await api.call('GET', `${other}?fieldSelector=regarding.name%3Dx`);
    expect(found.json['items']).toHaveLength(1);
  });
});
