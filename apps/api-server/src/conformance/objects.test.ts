import { mergePatch, okJson } from '../testing/expect-reply';
import { eventually, startTestServer, type Reply, type TestServer } from '../testing/test-server';
import { watch } from '../testing/watch';

// What upstream's conformance tests ask of single kinds and no controller has a part in.
let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

const core = '/api/v1/namespaces/default';
const items = async (url: string): Promise<Reply['json'][]> =>
  (await okJson(api.call('GET', url)))['items'] as Reply['json'][];

test('writing the status of a deployment leaves its labels', async () => {
  const url = '/apis/apps/v1/namespaces/default/deployments';
  const labels = { 'test-deployment-static': 'true' };
  const template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } };
  const spec = { replicas: 2, selector: { matchLabels: labels }, template };
  await okJson(api.call('POST', url, { metadata: { name: 'test-deployment', labels }, spec }), 201);
  const body = { metadata: { labels: { 'test-deployment': 'patched-status' } }, status: { readyReplicas: 0 } };
  const patched = await okJson(api.call('PATCH', `${url}/test-deployment/status`, body, mergePatch));
  expect(patched['metadata'].labels).toEqual(labels);
});

test('the value of a priority class does not change, what describes it does', async () => {
  const url = '/apis/scheduling.k8s.io/v1/priorityclasses';
  await okJson(api.call('POST', url, { metadata: { name: 'p1' }, value: 1 }), 201);
  const change = (body: object): Promise<Reply> => api.call('PATCH', `${url}/p1`, body, mergePatch);
  const refused = await okJson(change({ value: 2 }), 422);
  expect(refused['message']).toContain('value: Forbidden: may not be changed in an update.');
  expect(await okJson(change({ description: 'patched' }))).toMatchObject({ value: 1, description: 'patched' });
});

test('a finalizer is put on a namespace and taken from it by finalize alone', async () => {
  const url = '/api/v1/namespaces/e2e-finalizer';
  const finalizer = 'e2e.example.com/fakeFinalizer';
  const created = await okJson(api.call('POST', '/api/v1/namespaces', { metadata: { name: 'e2e-finalizer' } }), 201);
  const finalizers = [...(created['spec'].finalizers as string[]), finalizer];
  const byPatch = await okJson(api.call('PATCH', url, { spec: { finalizers } }, mergePatch));
  expect(byPatch['spec']).toEqual(created['spec']);
  const put = async (wanted: string[]): Promise<Reply['json']> => {
    const namespace = await okJson(api.call('GET', url));
    return okJson(api.call('PUT', `${url}/finalize`, { ...namespace, spec: { finalizers: wanted } }));
  };
  expect((await put(finalizers))['spec'].finalizers).toEqual(finalizers);
  expect((await put(['kubernetes']))['spec'].finalizers).toEqual(['kubernetes']);
});

test('an event of events.k8s.io is an event of the core too, found by its source and controller', async () => {
  const group = '/apis/events.k8s.io/v1/namespaces/default/events';
  const eventTime = '2017-09-19T13:49:16.000000Z';
  const event = {
    metadata: { name: 'event-test', labels: { 'testevent-constant': 'true' } },
    regarding: { namespace: 'default' },
    eventTime,
    note: 'This is event-test',
    action: 'Do',
    reason: 'Test',
    type: 'Normal',
    reportingController: 'test-controller',
    reportingInstance: 'test-node',
  };
  const url = `${group}/event-test`;
  const label = 'labelSelector=testevent-constant%3Dtrue';
  const named = [{ metadata: { name: 'event-test' } }];
  await okJson(api.call('POST', group, event), 201);
  const lists = [
    `/apis/events.k8s.io/v1/events?${label}`,
    `${group}?${label}`,
    `${core}/events?fieldSelector=source%3Dtest-controller`,
    `${group}?fieldSelector=reportingController%3Dtest-controller`,
  ];
  for (const list of lists) expect(await items(list)).toMatchObject(named);
  const own = ({ metadata, ...rest }: Reply['json']): object => {
    const { resourceVersion: _, managedFields: __, ...kept } = metadata;
    return { ...rest, metadata: kept };
  };
  const before = await okJson(api.call('GET', url));
  const headers = { 'content-type': 'application/strategic-merge-patch+json' };
  await okJson(api.call('PATCH', url, { series: { count: 2, lastObservedTime: eventTime } }, { headers }));
  const patched = await okJson(api.call('GET', url));
  expect(own(patched)).toEqual(own({ ...before, series: { count: 2, lastObservedTime: eventTime } }));
  const series = { count: 100, lastObservedTime: eventTime };
  await okJson(api.call('PUT', url, { ...patched, series }));
  expect(own(await okJson(api.call('GET', url)))).toEqual(own({ ...patched, series }));
  const alone = await okJson(api.call('PATCH', url, { series: { count: 1 } }, { headers }), 422);
  expect(alone['message']).toContain('series.count: Invalid value: "": should be at least 2');
  // What happened does not change, but for clients of the old API.
  const note = 'This is a test event - patched';
  await okJson(api.call('PATCH', url, { note }, { headers }), 422);
  const old = await okJson(api.call('PATCH', `${core}/events/event-test`, { message: note }, { headers }));
  expect(old).toMatchObject({ message: note, series });
  await okJson(api.call('DELETE', url));
  for (const list of lists) expect(await items(list)).toEqual([]);
});

test('a limit range gives defaults, changes with an update and goes', async () => {
  await okJson(api.call('POST', `${core}/serviceaccounts`, { metadata: { name: 'default' } }), 201);
  const url = `${core}/limitranges`;
  const limit = {
    type: 'Container',
    min: { cpu: '50m', memory: '100Mi' },
    max: { cpu: '500m', memory: '500Mi' },
    defaultRequest: { cpu: '100m', memory: '200Mi' },
    default: { cpu: '500m', memory: '500Mi' },
  };
  await okJson(api.call('POST', url, { metadata: { name: 'limit-range' }, spec: { limits: [limit] } }), 201);
  const pod = (name: string, resources: object): Promise<Reply> =>
    api.call('POST', `${core}/pods`, {
      metadata: { name },
      spec: { containers: [{ name: 'c', image: 'i', resources }] },
    });
  const bare = await okJson(pod('bare', {}), 201);
  expect(bare['spec'].containers[0].resources).toEqual({ requests: limit.defaultRequest, limits: limit.default });
  // A limit without a request is the request, as always.
  const partial = await okJson(pod('partial', { limits: { cpu: '300m' }, requests: { memory: '150Mi' } }), 201);
  expect(partial['spec'].containers[0].resources).toEqual({
    requests: { cpu: '300m', memory: '150Mi' },
    limits: { cpu: '300m', memory: '500Mi' },
  });
  const small = { requests: { cpu: '10m', memory: '50Mi' } };
  await okJson(pod('refused', small), 403);
  // More than the limit that it is given.
  await okJson(pod('refused', { requests: { cpu: '600m' } }), 422);
  await okJson(pod('refused', { requests: { cpu: '600m' }, limits: { cpu: '600m' } }), 403);
  const current = await okJson(api.call('GET', `${url}/limit-range`));
  current['spec'].limits[0].min = { cpu: '9m', memory: '49Mi' };
  expect(await okJson(api.call('PUT', `${url}/limit-range`, current))).toMatchObject({ spec: current['spec'] });
  await eventually(async () => (await pod('small', small)).code === 201);
  await okJson(api.call('DELETE', `${url}/limit-range`));
  await eventually(async () => (await pod('free', { requests: { cpu: '2' } })).code === 201);
});

test('watches that begin at many versions tell what follows in the same order', async () => {
  const maps = `${core}/configmaps`;
  const from = (await okJson(api.call('GET', maps)))['metadata'].resourceVersion as string;
  const reference = watch(api, `${maps}?resourceVersion=${from}`);
  const live = new Set<string>();
  const names = (i: number): string => `order-${i % 7}`;
  for (let i = 0; i < 60; i++) {
    const name = names(i);
    if (!live.has(name)) await okJson(api.call('POST', maps, { metadata: { name } }), 201);
    else if (i % 3 === 0) await okJson(api.call('DELETE', `${maps}/${name}`));
    else await okJson(api.call('PATCH', `${maps}/${name}`, { data: { i: String(i) } }, mergePatch));
    if (live.has(name) && i % 3 === 0) live.delete(name);
    else live.add(name);
  }
  await eventually(() => reference.events.length === 60);
  const versions = reference.events.map(({ object }) => object['metadata'].resourceVersion as string);
  const started = versions.slice(0, 30).map(version => watch(api, `${maps}?resourceVersion=${version}`));
  for (const [i, watched] of started.entries()) {
    await eventually(() => watched.events.length >= 59 - i);
    const told = watched.events.map(({ object }) => object['metadata'].resourceVersion as string);
    expect(told).toEqual(versions.slice(i + 1));
  }
  for (const watched of [reference, ...started]) watched.stop();
});
