import { createRequest } from '@naru/pki';
import { startTestServer, tokens, type Reply, type TestServer } from '../testing/test-server';

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
  await api.call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
});
afterAll(() => api.close());

const messageOf = ({ code, json }: Reply): unknown => (code < 300 ? code : json['message']);
const inDefault = (resource: string): string => `/api/v1/namespaces/default/${resource}`;
const mergePatch = { headers: { 'content-type': 'application/merge-patch+json' } };

describe('a runtime class', () => {
  const url = '/apis/node.k8s.io/v1/runtimeclasses';
  const pod = (name: string, spec: object): Promise<Reply> =>
    api.call('POST', inDefault('pods'), {
      metadata: { name },
      spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
    });

  test('gives its pods their overhead and their nodes', async () => {
    const scheduling = { nodeSelector: { runtime: 'vm' }, tolerations: [{ key: 'vm', operator: 'Exists' }] };
    const overhead = { podFixed: { cpu: '10m', memory: '1Mi' } };
    await api.call('POST', url, { metadata: { name: 'vm' }, handler: 'vm', overhead, scheduling });
    const { json } = await pod('a', { runtimeClassName: 'vm', nodeSelector: { disk: 'ssd' } });
    expect(json['spec']).toMatchObject({
      overhead: { cpu: '10m', memory: '1Mi' },
      nodeSelector: { disk: 'ssd', runtime: 'vm' },
      tolerations: expect.arrayContaining([{ key: 'vm', operator: 'Exists' }]),
    });
    expect(messageOf(await pod('b', { runtimeClassName: 'vm', nodeSelector: { runtime: 'other' } }))).toContain(
      'conflict: runtimeClass.scheduling.nodeSelector[runtime] = vm; pod.spec.nodeSelector[runtime] = other',
    );
    expect(messageOf(await pod('c', { runtimeClassName: 'vm', overhead: { cpu: '1' } }))).toContain(
      "Pod's Overhead doesn't match RuntimeClass's defined Overhead",
    );
  });

  test('must be there, and overhead comes from it only', async () => {
    expect(messageOf(await pod('d', { runtimeClassName: 'none' }))).toBe(
      'pods "d" is forbidden: pod rejected: RuntimeClass "none" not found',
    );
    expect(messageOf(await pod('e', { overhead: { cpu: '1' } }))).toContain(
      'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead',
    );
  });
});

describe('claims and volumes', () => {
  const claims = inDefault('persistentvolumeclaims');
  const claim = (name: string, spec: object = {}): Promise<Reply> =>
    api.call('POST', claims, {
      metadata: { name },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
    });
  const storageClass = (name: string, annotation: string, more: object = {}): Promise<Reply> =>
    api.call('POST', '/apis/storage.k8s.io/v1/storageclasses', {
      metadata: { name, annotations: { 'storageclass.kubernetes.io/is-default-class': annotation } },
      provisioner: 'example.com/p',
      ...more,
    });

  test('get the default class unless they name one, and their protection', async () => {
    expect((await claim('none')).json['spec'].storageClassName).toBeUndefined();
    await storageClass('standard', 'true');
    await storageClass('other', 'false');
    const { json } = await claim('defaulted');
    expect(json['spec'].storageClassName).toBe('standard');
    expect(json['metadata'].finalizers).toEqual(['kubernetes.io/pvc-protection']);
    expect((await claim('empty', { storageClassName: '' })).json['spec'].storageClassName).toBe('');
    const volume = await api.call('POST', '/api/v1/persistentvolumes', {
      metadata: { name: 'pv' },
      spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/tmp' } },
    });
    expect(volume.json['metadata'].finalizers).toEqual(['kubernetes.io/pv-protection']);
  });

  test('grow only when they are bound and their class allows it', async () => {
    await storageClass('fixed', 'false');
    await storageClass('growing', 'false', { allowVolumeExpansion: true });
    const larger = { spec: { resources: { requests: { storage: '2Gi' } } } };
    const grow = (name: string): Promise<Reply> => api.call('PATCH', `${claims}/${name}`, larger, mergePatch);
    const bind = (name: string): Promise<Reply> =>
      api.call('PATCH', `${claims}/${name}/status`, { status: { phase: 'Bound' } }, mergePatch);
    await claim('p1', { storageClassName: 'growing' });
    expect(messageOf(await grow('p1'))).toContain('spec is immutable after creation except');
    await bind('p1');
    expect(messageOf(await grow('p1'))).toBe(200);
    await claim('p2', { storageClassName: 'fixed' });
    await bind('p2');
    expect(messageOf(await grow('p2'))).toContain(
      'only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize',
    );
  });
});

test('an ingress gets the default class unless it names one', async () => {
  const url = '/apis/networking.k8s.io/v1/namespaces/default/ingresses';
  await api.call('POST', '/apis/networking.k8s.io/v1/ingressclasses', {
    metadata: { name: 'main', annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
    spec: { controller: 'example.com/ingress' },
  });
  const defaultBackend = { service: { name: 's', port: { number: 80 } } };
  const ingress = (name: string, spec: object = {}): Promise<Reply> =>
    api.call('POST', url, { metadata: { name }, spec: { defaultBackend, ...spec } });
  expect((await ingress('a')).json['spec'].ingressClassName).toBe('main');
  expect((await ingress('b', { ingressClassName: 'own' })).json['spec'].ingressClassName).toBe('own');
});

test('a pod gets the labels of its node that tell zone and region', async () => {
  const labels = { 'topology.kubernetes.io/zone': 'z1', 'topology.kubernetes.io/region': 'r1', other: 'x' };
  await api.call('POST', '/api/v1/nodes', { metadata: { name: 'zoned', labels } });
  const pods = inDefault('pods');
  const containers = [{ name: 'c', image: 'i' }];
  await api.call('POST', pods, { metadata: { name: 'bound', labels: { own: 'yes' } }, spec: { containers } });
  const target = { kind: 'Node', name: 'zoned' };
  expect((await api.call('POST', `${pods}/bound/binding`, { metadata: { name: 'bound' }, target })).code).toBe(201);
  const topology = { 'topology.kubernetes.io/zone': 'z1', 'topology.kubernetes.io/region': 'r1' };
  const { json } = await api.call('GET', `${pods}/bound`);
  expect(json['metadata'].labels).toEqual({ own: 'yes', ...topology });
  const placed = { metadata: { name: 'placed' }, spec: { containers, nodeName: 'zoned' } };
  expect((await api.call('POST', pods, placed)).json['metadata'].labels).toEqual(topology);
});

describe('a request for a certificate', () => {
  const url = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const rbac = '/apis/rbac.authorization.k8s.io/v1';
  const ask = async (name: string, signerName: string, organizations: string[] = []): Promise<Reply> => {
    const { request } = await createRequest({ subject: { commonName: 'jane', organizations } });
    const spec = {
      request: Buffer.from(request).toString('base64'),
      signerName,
      usages: ['client auth'],
      username: 'somebody-else',
    };
    return api.call('POST', url, { metadata: { name }, spec });
  };

  test('says who really asks', async () => {
    const { json } = await ask('mine', 'example.com/signer');
    expect(json['spec']).toMatchObject({ username: 'admin', groups: ['system:masters', 'system:authenticated'] });
  });

  test('for an administrator is refused by the client signer', async () => {
    expect(messageOf(await ask('root', 'kubernetes.io/kube-apiserver-client', ['system:masters']))).toContain(
      'use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
    );
    expect(messageOf(await ask('user', 'kubernetes.io/kube-apiserver-client', ['dev']))).toBe(201);
  });

  test('is approved and signed only by who may use the signer', async () => {
    await ask('judged', 'example.com/signer');
    const group = 'certificates.k8s.io';
    const resources = ['certificatesigningrequests/approval', 'certificatesigningrequests/status'];
    await api.call('POST', `${rbac}/clusterroles`, {
      metadata: { name: 'judge' },
      rules: [{ verbs: ['update', 'patch'], apiGroups: [group], resources }],
    });
    await api.call('POST', `${rbac}/clusterrolebindings`, {
      metadata: { name: 'judge' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'judge' },
      subjects: [{ kind: 'User', name: 'nobody' }],
    });
    const { json } = await api.call('GET', `${url}/judged`);
    const certificate = Buffer.from('-----BEGIN CERTIFICATE-----\neA==\n-----END CERTIFICATE-----\n').toString(
      'base64',
    );
    const condition = { type: 'Approved', status: 'True', reason: 'Fine', message: 'fine' };
    const put = (sub: string, status: object): Promise<Reply> =>
      api.call('PUT', `${url}/judged/${sub}`, { ...json, status }, { token: tokens.nobody });
    expect(messageOf(await put('approval', { conditions: [condition] }))).toContain(
      'user not permitted to approve requests with signerName "example.com/signer"',
    );
    expect(messageOf(await put('status', { certificate }))).toContain(
      'user not permitted to sign requests with signerName "example.com/signer"',
    );
    const all = {
      verbs: ['approve', 'sign'],
      apiGroups: [group],
      resources: ['signers'],
      resourceNames: ['example.com/*'],
    };
    const { json: role } = await api.call('GET', `${rbac}/clusterroles/judge`);
    await api.call('PUT', `${rbac}/clusterroles/judge`, { ...role, rules: [...role['rules'], all] });
    expect(messageOf(await put('approval', { conditions: [condition] }))).toBe(200);
  });
});
