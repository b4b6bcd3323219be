import { startTestServer, type TestServer } from '../testing/test-server';

let api: TestServer;
let uid: string;
const pods = '/api/v1/namespaces/default/pods';
const asNode = { identity: 'node-1' };

interface Owner {
  uid: string;
  [field: string]: unknown;
}
const owner = (more: object = {}): Owner => ({
  apiVersion: 'v1',
  kind: 'Node',
  name: 'node-1',
  uid,
  controller: true,
  ...more,
});
const container = { name: 'c', image: 'i' };
const mirror = (name: string, spec: object = {}, ownerReferences: unknown[] | undefined = [owner()]) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, annotations: { 'kubernetes.io/config.mirror': 'abc' }, ownerReferences },
  spec: { nodeName: 'node-1', containers: [container], ...spec },
});

beforeAll(async () => {
  api = await startTestServer();
  const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } };
  await api.call('POST', '/api/v1/namespaces/default/serviceaccounts', account);
  expect((await api.call('POST', pods, mirror('early', {}, []), asNode)).code).toBe(201);
  const labels = { 'kubernetes.io/hostname': 'node-1', 'kubernetes.io/os': 'linux', mine: 'a' };
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name: 'node-1', labels } };
  const role = 'node-role.kubernetes.io/control-plane';
  const proud = { ...node, metadata: { name: 'node-1', labels: { ...labels, [role]: '' } } };
  const refusal = await api.call('POST', '/api/v1/nodes', proud, asNode);
  expect(refusal.code).toBe(403);
  expect(refusal.json['message']).toContain(`node "node-1" is not allowed to set the following labels: ${role}`);
  const { code, json } = await api.call('POST', '/api/v1/nodes', node, asNode);
  expect(code).toBe(201);
  uid = json['metadata'].uid;
});
afterAll(() => api.close());

describe('mirror pods of a node', () => {
  test('are taken when they are its own and refer to nothing', async () => {
    const volumes = [{ name: 'h', hostPath: { path: '/x' } }];
    expect((await api.call('POST', pods, mirror('good', { volumes }), asNode)).code).toBe(201);
  });

  test.each<[string, object]>([
    ['a service account', { serviceAccountName: 'default' }],
    ['secrets', { imagePullSecrets: [{ name: 's' }] }],
    ['secrets', { volumes: [{ name: 'v', secret: { secretName: 's' } }] }],
    ['secrets', { volumes: [{ name: 'v', projected: { sources: [{ secret: { name: 's' } }] } }] }],
    ['secrets', { containers: [{ ...container, envFrom: [{ secretRef: { name: 's' } }] }] }],
    [
      'secrets',
      {
        initContainers: [
          { ...container, name: 'i', env: [{ name: 'E', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] },
        ],
      },
    ],
    ['configmaps', { volumes: [{ name: 'v', configMap: { name: 's' } }] }],
    ['configmaps', { containers: [{ ...container, envFrom: [{ configMapRef: { name: 's' } }] }] }],
    ['persistentvolumeclaims', { volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 's' } }] }],
    ['resourceclaims', { resourceClaims: [{ name: 'r', resourceClaimName: 's' }] }],
    [
      'service account tokens',
      { volumes: [{ name: 'v', projected: { sources: [{ serviceAccountToken: { path: 't' } }] } }] },
    ],
  ])('must not reference %s: %j', async (what, spec) => {
    const { code, json } = await api.call('POST', pods, mirror('bad', spec), asNode);
    expect(json['message']).toBe(`pods "bad" is forbidden: node "node-1" can not create pods that reference ${what}`);
    expect(code).toBe(403);
  });

  test('must be owned by the node', async () => {
    const refusal = async (owners: unknown[]) => {
      const { code, json } = await api.call('POST', pods, mirror('bad', {}, owners), asNode);
      expect(code).toBe(403);
      return json['message'] as string;
    };
    expect(await refusal([owner({ name: 'node-2' })])).toContain('with an owner reference set to itself');
    expect(await refusal([owner({ kind: 'ReplicaSet', apiVersion: 'apps/v1' })])).toContain('set to itself');
    expect(await refusal([owner({ controller: false })])).toContain('with a controller owner reference');
    expect(await refusal([owner({ blockOwnerDeletion: true })])).toContain('must not set blockOwnerDeletion');
    expect(await refusal([owner({ uid: 'other' })])).toContain(`node node-1 UID mismatch: expected other got ${uid}`);
    const two = [owner(), owner({ name: 'x', uid: 'x', controller: false })];
    expect(await refusal(two)).toContain('single owner reference');
  });
});

describe('a node', () => {
  const own = '/api/v1/nodes/node-1';
  const merge = { ...asNode, headers: { 'content-type': 'application/merge-patch+json' } };
  const refused = async (url: string, body: object) => {
    const { code, json } = await api.call('PATCH', url, body, merge);
    expect(code).toBe(403);
    return json['message'] as string;
  };

  test('does not change its taints, which it may set when it registers', async () => {
    const taints = [{ key: 'mine', effect: 'NoSchedule' }];
    const message = 'nodes "node-1" is forbidden: node "node-1" is not allowed to modify taints';
    expect(await refused(own, { spec: { taints } })).toBe(message);
    expect(await refused(own, { spec: { taints: null } })).toBe(message);
    const { json } = await api.call('GET', own, undefined, asNode);
    expect(json['spec'].taints).toEqual([{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }]);
    expect((await api.call('PUT', own, json, asNode)).code).toBe(200);
  });

  test.each([
    'node-role.kubernetes.io/control-plane',
    'node-restriction.kubernetes.io/secure',
    'a.node-restriction.kubernetes.io/secure',
    'x.k8s.io/y',
    'kubernetes.io/cluster-service',
  ])('does not label itself %s', async label => {
    const body = { metadata: { labels: { [label]: 'x' } } };
    const words = `node "node-1" is not allowed to modify labels: ${label}`;
    expect(await refused(own, body)).toContain(words);
  });

  test('may set the labels of kubelets and of others', async () => {
    const labels = {
      'kubernetes.io/arch': 'amd64',
      'beta.kubernetes.io/os': 'linux',
      'topology.kubernetes.io/zone': 'a',
      'node.kubernetes.io/instance-type': 'm',
      'kubelet.kubernetes.io/x': 'y',
      'example.com/team': 'red',
      mine: 'b',
    };
    const { code, json } = await api.call('PATCH', own, { metadata: { labels } }, merge);
    expect(code).toBe(200);
    expect(json['metadata'].labels).toMatchObject(labels);
  });

  test('does not give itself owners', async () => {
    const ownerReferences = [{ apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'x' }];
    expect(await refused(own, { metadata: { ownerReferences } })).toContain('not allowed to modify ownerReferences');
  });

  test('reports its status, and that of its pods without touching their labels or claims', async () => {
    const status = { conditions: [{ type: 'Ready', status: 'True' }] };
    expect((await api.call('PATCH', `${own}/status`, { status }, merge)).code).toBe(200);
    const pod = `${pods}/good/status`;
    expect((await api.call('PATCH', pod, { status: { phase: 'Running' } }, merge)).code).toBe(200);
    const words = await refused(pod, { metadata: { labels: { app: 'web' } }, status: { phase: 'Running' } });
    expect(words).toBe('pods "good" is forbidden: node "node-1" cannot update labels through pod status');
    const gpus = { 'example.com/gpu': '1' };
    const spec = { nodeName: 'node-1', containers: [{ ...container, resources: { requests: gpus, limits: gpus } }] };
    expect((await api.call('POST', pods, { metadata: { name: 'with-gpu' }, spec })).code).toBe(201);
    const requestMappings = [{ containerName: container.name, resourceName: 'example.com/gpu', requestName: 'r' }];
    for (const status of [
      { resourceClaimStatuses: [{ name: 'r', resourceClaimName: 'of-another' }] },
      { extendedResourceClaimStatus: { resourceClaimName: 'of-another', requestMappings } },
    ])
      expect(await refused(`${pods}/with-gpu/status`, { status })).toContain(
        'node "node-1" cannot update resource claim statuses',
      );
  });

  test('may be labelled by an administrator', async () => {
    const body = { metadata: { labels: { 'node-role.kubernetes.io/worker': '' } } };
    const { code } = await api.call('PATCH', own, body, { headers: merge.headers });
    expect(code).toBe(200);
    expect((await api.call('PATCH', `${own}/status`, { status: { phase: 'Running' } }, merge)).code).toBe(200);
    expect(await refused(own, { metadata: { labels: { 'node-role.kubernetes.io/worker': null } } })).toContain(
      'labels',
    );
  });
});

describe('of a node', () => {
  const forbiddenTo = async (method: string, url: string, body?: unknown) => {
    const { code, json } = await api.call(method, url, body, asNode);
    expect(code).toBe(403);
    return json['message'] as string;
  };

  test('the Node is not deleted, so that it cannot come back without what others said of it', async () => {
    expect(await forbiddenTo('DELETE', '/api/v1/nodes/node-1')).toContain('cannot delete resource "nodes"');
    expect((await api.call('GET', '/api/v1/nodes/node-1')).code).toBe(200);
  });

  test('pods tell by their status which claim for extended resources it may read', async () => {
    const claims = '/apis/resource.k8s.io/v1/namespaces/default/resourceclaims';
    const gpus = { 'example.com/gpu': '1' };
    const spec = { nodeName: 'node-1', containers: [{ ...container, resources: { requests: gpus, limits: gpus } }] };
    expect((await api.call('POST', pods, { metadata: { name: 'trains' }, spec })).code).toBe(201);
    for (const name of ['of-train', 'of-another'])
      expect((await api.call('POST', claims, { metadata: { name }, spec: {} })).code).toBe(201);
    const requestMappings = [{ containerName: container.name, resourceName: 'example.com/gpu', requestName: 'r' }];
    const status = { extendedResourceClaimStatus: { resourceClaimName: 'of-train', requestMappings } };
    const headers = { 'content-type': 'application/merge-patch+json' };
    expect((await api.call('PATCH', `${pods}/trains/status`, { status }, { headers })).code).toBe(200);
    expect((await api.call('GET', `${claims}/of-train`, undefined, asNode)).code).toBe(200);
    expect(await forbiddenTo('GET', `${claims}/of-another`)).toContain('cannot get resource "resourceclaims"');
  });

  test('the Lease and the CSINode have its name', async () => {
    const leases = '/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases';
    const csiNodes = '/apis/storage.k8s.io/v1/csinodes';
    const named = (name: string) => ({ metadata: { name }, spec: { drivers: [] } });
    expect(await forbiddenTo('POST', leases, { metadata: { name: 'node-2' }, spec: {} })).toContain(
      'can only access node lease with the same name as the requesting node',
    );
    expect(await forbiddenTo('POST', csiNodes, named('node-2'))).toContain(
      'can only access CSINode with the same name as the requesting node',
    );
    expect((await api.call('POST', leases, { metadata: { name: 'node-1' }, spec: {} }, asNode)).code).toBe(201);
    expect((await api.call('POST', csiNodes, named('node-1'), asNode)).code).toBe(201);
  });

  test('pods have tokens for those whom their volumes address', async () => {
    const volume = (name: string, more: object) => ({ name, ...more });
    const projected = (audience?: string) => ({
      projected: { sources: [{ serviceAccountToken: { path: 't', ...(audience ? { audience } : {}) } }] },
    });
    const csi = { apiVersion: 'storage.k8s.io/v1', kind: 'CSIDriver', metadata: { name: 'csi.example.com' } };
    const spec = { tokenRequests: [{ audience: 'csi-vault' }], volumeLifecycleModes: ['Ephemeral'] };
    expect((await api.call('POST', '/apis/storage.k8s.io/v1/csidrivers', { ...csi, spec })).code).toBe(201);
    const pod = (name: string, volumes: object[]) =>
      api.call('POST', pods, {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name },
        spec: { nodeName: 'node-1', automountServiceAccountToken: false, containers: [container], volumes },
      });
    const volumes = [
      volume('a', projected()),
      volume('b', projected('vault')),
      volume('c', { csi: { driver: 'csi.example.com' } }),
    ];
    expect((await pod('with-tokens', volumes)).code).toBe(201);
    expect((await pod('without', [])).code).toBe(201);
    const ask = (name: string, ...audiences: string[]) => {
      const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name };
      const body = { spec: { audiences, boundObjectRef } };
      return api.call('POST', '/api/v1/namespaces/default/serviceaccounts/default/token', body, asNode);
    };
    for (const audiences of [[], ['vault'], ['csi-vault']])
      expect((await ask('with-tokens', ...audiences)).code).toBe(201);
    const words = 'system:node:node-1 is not authorized to request tokens for this audience';
    const refused = await ask('with-tokens', 'bank');
    expect(refused.json['message']).toBe(
      `serviceaccounts "default" is forbidden: audience "bank" not found in pod spec volume, ${words}`,
    );
    expect((await ask('without')).json['message']).toContain(`audience "" not found in pod spec volume, ${words}`);
    expect((await ask('with-tokens', 'vault', 'csi-vault')).json['message']).toContain('only request 0 or 1 audiences');
    const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
    const rules = [{ verbs: ['request-serviceaccounts-token-audience'], apiGroups: [''], resources: ['bank'] }];
    await api.call('POST', `${rbac}/roles`, { metadata: { name: 'bank' }, rules });
    await api.call('POST', `${rbac}/rolebindings`, {
      metadata: { name: 'bank' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'bank' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:nodes' }],
    });
    expect((await ask('with-tokens', 'bank')).code).toBe(201);
  });
});
