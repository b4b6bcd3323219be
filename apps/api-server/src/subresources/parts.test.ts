import { startTestServer, type TestServer } from '../testing/test-server';

const pods = '/api/v1/namespaces/default/pods';
const url = `${pods}/p/ephemeralcontainers`;
const strategic = { headers: { 'content-type': 'application/strategic-merge-patch+json' } };

describe('ephemeral containers', () => {
  let api: TestServer;
  const patch = (container: object) =>
    api.call('PATCH', url, { spec: { ephemeralContainers: [container], nodeName: 'elsewhere' } }, strategic);

  beforeAll(async () => {
    api = await startTestServer();
    await api.call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
    await api.call('POST', pods, { metadata: { name: 'p' }, spec: { containers: [{ name: 'main', image: 'i' }] } });
  });
  afterAll(() => api.close());

  test('are added to a running pod, and nothing else is changed', async () => {
    const { code, json } = await patch({ name: 'look', image: 'debug', targetContainerName: 'main', stdin: true });
    expect(code).toBe(200);
    expect(json['spec'].ephemeralContainers).toMatchObject([{ name: 'look', imagePullPolicy: 'Always' }]);
    expect(json['spec']).not.toHaveProperty('nodeName');
    expect((await api.call('GET', url)).json['spec']).toEqual(json['spec']);
    const more = structuredClone(json);
    more['spec'].ephemeralContainers.push({ name: 'again', image: 'debug' });
    expect((await api.call('PUT', url, more)).json['spec'].ephemeralContainers).toHaveLength(2);
  });

  test.each([
    [{ name: 'main', image: 'i' }, 'Duplicate value: "main"'],
    [
      { name: 'x', image: 'i', ports: [{ containerPort: 1 }] },
      'ports: Forbidden: cannot be set for an Ephemeral Container',
    ],
    [{ name: 'x', image: 'i', targetContainerName: 'no' }, 'targetContainerName: Not found: "no"'],
    [{ name: 'look', image: 'other' }, 'existing ephemeral containers "look" may not be changed'],
    [{ name: 'x' }, 'image: Required value'],
  ])('like %j are refused', async (container, why) => {
    const { code, json } = await patch(container);
    expect(code).toBe(422);
    expect(json['message']).toContain(why);
  });

  test('may be neither removed nor brought at birth', async () => {
    const { json: pod } = await api.call('GET', `${pods}/p`);
    pod['spec'].ephemeralContainers = [];
    expect((await api.call('PUT', url, pod)).json['message']).toContain('"look" may not be removed');
    const spec = { containers: [{ name: 'a', image: 'i' }], ephemeralContainers: [{ name: 'b', image: 'i' }] };
    const born = await api.call('POST', pods, { metadata: { name: 'q' }, spec });
    expect(born.json['message']).toContain('spec.ephemeralContainers: Forbidden: cannot be set on create');
  });
});

describe('a resize', () => {
  let api: TestServer;
  const at = `${pods}/p/resize`;
  const resources = (requests: object, limits: object) => ({ requests, limits });
  const patch = (change: object) =>
    api.call('PATCH', at, { spec: { containers: [{ name: 'main', ...change }] } }, strategic);

  beforeAll(async () => {
    api = await startTestServer();
    await api.call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
    const main = { name: 'main', image: 'i', resources: resources({ cpu: '1', memory: '1Gi' }, { cpu: '2' }) };
    await api.call('POST', pods, { metadata: { name: 'p' }, spec: { containers: [main] } });
  });
  afterAll(() => api.close());

  test('changes the resources of a pod and nothing else', async () => {
    const { code, json } = await patch({ image: 'other', resources: { requests: { cpu: '1500m' } } });
    expect(code).toBe(200);
    expect(json.metadata.generation).toBe(2);
    expect(json.spec.containers[0]).toMatchObject({
      image: 'i',
      resources: resources({ cpu: '1500m', memory: '1Gi' }, { cpu: '2' }),
      resizePolicy: [
        { resourceName: 'cpu', restartPolicy: 'NotRequired' },
        { resourceName: 'memory', restartPolicy: 'NotRequired' },
      ],
    });
    expect((await api.call('GET', at)).json.spec).toEqual(json.spec);
    const direct = { spec: { containers: [{ name: 'main', resources: { requests: { cpu: '1' } } }] } };
    expect((await api.call('PATCH', `${pods}/p`, direct, strategic)).code).toBe(422);
  });

  test.each([
    [{ resources: { requests: { cpu: '3' } } }, 'must be less than or equal to cpu limit of 2'],
    [{ resources: { requests: { memory: null } } }, 'requests[memory]: Forbidden: resource requests cannot be removed'],
    [{ resources: { limits: { 'ephemeral-storage': '1Gi' } } }, 'only cpu and memory resources are mutable'],
    [{ name: 'more', image: 'i' }, 'spec: Forbidden: only cpu and memory resources are mutable'],
    [{ resources: { requests: { cpu: '2' }, limits: { memory: '1Gi' } } }, 'Pod QOS Class may not change'],
  ])('to %j is refused', async (change, why) => {
    const { code, json } = await patch(change);
    expect(json.message).toContain(why);
    expect(code).toBe(422);
  });

  describe('on a node', () => {
    const allocatable = { cpu: '2', memory: '4Gi', pods: '9' };
    const node = (declaredFeatures: string[]) =>
      api.call('PATCH', '/api/v1/nodes/n/status', { status: { allocatable, declaredFeatures } }, strategic);
    const resize = (list: string, cpu: string) => {
      const change = [{ name: list === 'containers' ? 'main' : 'first', resources: { requests: { cpu } } }];
      return api.call('PATCH', `${pods}/bound/resize`, { spec: { [list]: change } }, strategic);
    };

    beforeAll(async () => {
      const labels = { 'kubernetes.io/os': 'linux' };
      await api.call('POST', '/api/v1/nodes', { metadata: { name: 'n', labels } });
      await node([]);
      const container = { image: 'i', resources: { requests: { cpu: '1' } } };
      await api.call('POST', pods, {
        metadata: { name: 'bound' },
        spec: {
          nodeName: 'n',
          containers: [{ name: 'main', ...container }],
          initContainers: [{ name: 'first', ...container }],
        },
      });
    });

    test('is refused when the node will never have so much', async () => {
      const { code, json } = await resize('containers', '2001m');
      expect(json.message).toBe(
        'pods "bound" is forbidden: ' +
          "Node didn't have enough allocatable resources: cpu, requested: 2001, allocatable: 2000",
      );
      expect(json.details.causes).toEqual([{ reason: 'NodeCapacity', message: '' }]);
      expect(code).toBe(403);
    });

    test('is refused as long as the node does not declare that it can do it', async () => {
      const feature = 'InPlacePodVerticalScalingInitContainers';
      const { code, json } = await resize('initContainers', '2');
      expect(json.message).toBe(
        `pods "bound" is forbidden: pod update requires features ${feature} which are not available on node "n"`,
      );
      expect(code).toBe(403);
      expect((await node(['b/c', feature, feature, 'A'])).json.message).toMatch(
        /declaredFeatures\[0\]: Invalid value.*\[2\]: Duplicate value.*\[3\]: Invalid value: "A": must be sorted/,
      );
      expect((await node([feature])).code).toBe(200);
      expect((await resize('initContainers', '2')).code).toBe(200);
    });
  });
});

describe('the approval of a certificate request', () => {
  let api: TestServer;
  const requests = '/apis/certificates.k8s.io/v1/certificatesigningrequests';
  const merge = { headers: { 'content-type': 'application/merge-patch+json' } };
  const pem = (what: string): string =>
    Buffer.from(`-----BEGIN ${what}-----\nYQ==\n-----END ${what}-----\n`).toString('base64');
  const spec = { request: pem('CERTIFICATE REQUEST'), signerName: 'example.com/s', usages: ['client auth'] };

  beforeAll(async () => {
    api = await startTestServer();
    const forged = { ...spec, username: 'somebody-else', groups: ['system:masters'] };
    await api.call('POST', requests, { metadata: { name: 'r' }, spec: forged }, { identity: 'node-1' });
  });
  afterAll(() => api.close());

  test('goes by who asked, which the server says', async () => {
    const { json } = await api.call('GET', `${requests}/r`);
    expect(json.spec).toMatchObject({ username: 'system:node:node-1' });
    expect(json.spec.groups).toContain('system:nodes');
    expect(json.spec.groups).not.toContain('system:masters');
  });

  test('is a condition that the status alone cannot set, and that stays', async () => {
    const condition = { type: 'Approved', status: 'True', reason: 'Test' };
    const body = { metadata: { annotations: { seen: 'yes' } }, status: { conditions: [condition] } };
    const byStatus = await api.call('PATCH', `${requests}/r/status`, body, merge);
    expect(byStatus.json.message).toContain('updates may not add a condition of type "Approved"');
    const certificate = { status: { ...body.status, certificate: pem('CERTIFICATE') } };
    const approved = await api.call('PATCH', `${requests}/r/approval`, { ...body, ...certificate }, merge);
    expect(approved.json).toMatchObject({ metadata: { annotations: { seen: 'yes' } }, status: body.status });
    expect(approved.json.status).not.toHaveProperty('certificate');
    expect(approved.json.status.conditions[0].lastTransitionTime).toMatch(/Z$/);
    const issued = await api.call(
      'PATCH',
      `${requests}/r/status`,
      { status: { certificate: pem('CERTIFICATE') } },
      merge,
    );
    expect(issued.json.status).toMatchObject({ ...body.status, certificate: pem('CERTIFICATE') });
    const back = await api.call('PATCH', `${requests}/r/approval`, { status: { conditions: null } }, merge);
    expect(back.json.message).toContain('updates may not remove a condition of type "Approved"');
    const denied = [condition, { ...condition, type: 'Denied' }];
    const both = await api.call('PATCH', `${requests}/r/approval`, { status: { conditions: denied } }, merge);
    expect(both.json.message).toContain('Approved and Denied conditions are mutually exclusive');
  });

  test('answers no other method', async () => {
    expect((await api.call('POST', `${requests}/r/approval`, {})).code).toBe(405);
    expect((await api.call('GET', `${requests}/r/approve`)).code).toBe(404);
    expect((await api.call('GET', `${requests}/r/approval`)).json.kind).toBe('CertificateSigningRequest');
  });
});
