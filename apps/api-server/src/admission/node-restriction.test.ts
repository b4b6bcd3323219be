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
