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
