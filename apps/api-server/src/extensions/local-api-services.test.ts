import { eventually, startTestServer, type TestServer } from '../testing/test-server';
import { widgetDefinition } from '../testing/widget-definition';

const url = '/apis/apiregistration.k8s.io/v1/apiservices';

describe('local APIServices', () => {
  let api: TestServer;
  beforeAll(async () => {
    api = await startTestServer();
  });
  afterAll(() => api.close());

  const names = async (): Promise<string[]> => {
    const { items } = (await api.call('GET', url)).json as { items: { metadata: { name: string } }[] };
    return items.map(({ metadata }) => metadata.name);
  };

  test('there is one for each group and version that the server answers', async () => {
    expect(await names()).toEqual(expect.arrayContaining(['v1.', 'v1.apps', 'v1.autoscaling', 'v2.autoscaling']));
    expect(await names()).not.toContain('v1.apiregistration.k8s.io');
    const { json } = await api.call('GET', `${url}/v2.autoscaling`);
    expect(json.spec).toEqual({
      group: 'autoscaling',
      version: 'v2',
      groupPriorityMinimum: 17_500,
      versionPriority: 16,
    });
    expect(json.status.conditions).toMatchObject([{ type: 'Available', status: 'True', reason: 'Local' }]);
  });

  test('the groups are listed in upstream’s order of preference', async () => {
    const { json } = await api.call('GET', '/apis');
    const listed = (json.groups as { name: string; preferredVersion: { version: string } }[]).map(
      ({ name, preferredVersion }) => `${name}/${preferredVersion.version}`,
    );
    expect(listed.slice(0, 6)).toEqual([
      'apiregistration.k8s.io/v1',
      'apps/v1',
      'events.k8s.io/v1',
      'authentication.k8s.io/v1',
      'authorization.k8s.io/v1',
      'autoscaling/v2',
    ]);
  });

  test('one that is deleted comes back', async () => {
    const before = await api.call('GET', `${url}/v1.apps`);
    expect((await api.call('DELETE', `${url}/v1.apps`)).code).toBe(200);
    const after = await eventually(async () => {
      const reply = await api.call('GET', `${url}/v1.apps`);
      return reply.code === 200 && reply.json.metadata.uid !== before.json.metadata.uid ? reply : undefined;
    });
    expect(after.json.metadata.labels).toEqual({ 'kube-aggregator.kubernetes.io/automanaged': 'onstart' });
  });

  test('a custom resource brings one, which goes with it', async () => {
    const definition = widgetDefinition() as { metadata: { name: string }; spec: { group: string } };
    await api.call('POST', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions', definition);
    const name = `v1.${definition.spec.group}`;
    await eventually(async () => (await names()).includes(name));
    expect((await api.call('GET', `${url}/${name}`)).json).toMatchObject({
      metadata: { labels: { 'kube-aggregator.kubernetes.io/automanaged': 'true' } },
      spec: { groupPriorityMinimum: 1000, versionPriority: 100 },
    });
    await api.call('DELETE', `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${definition.metadata.name}`);
    await eventually(async () => !(await names()).includes(name));
  });
});
