import { Server } from '@grpc/grpc-js';
import {
  configMaps,
  coreEvents,
  pods,
  secrets,
  serviceAccounts,
  type ConfigMap,
  type Pod,
  type Secret,
} from '@naru/api';
import {
  GrpcObjectsClient,
  InformerFactory,
  NatsFeed,
  feedFilter,
  type FeedListener,
  type FeedMessage,
} from '@naru/client';
import { StatusError, silentLogger, systemClock } from '@naru/foundation';
import { certificateHash, createRequest, isSignedBy } from '@naru/pki';
import { NatsTestServer, within } from '@naru/testing';
import { FeedPublisher } from './feed/publisher';
import { eventually, joinSecret, startTestServer, type TestServer } from './testing/test-server';
import { watch as watchUrl, type Watched } from './testing/watch';

const configMap = (name: string, data: Record<string, string> = {}, labels?: Record<string, string>): ConfigMap => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'default', ...(labels ? { labels } : {}) },
  data,
});
const maps = '/api/v1/namespaces/default/configmaps';

describe('a watch', () => {
  let api: TestServer;
  beforeAll(async () => (api = await startTestServer()));
  afterAll(() => api.close());

  const watch = (query: string, headers?: Record<string, string>): Watched =>
    watchUrl(api, `${maps}?${query}`, headers);
  const seen = ({ events }: Watched) => events.map(({ type, object }) => `${type} ${object.metadata['name']}`);
  const patch = (name: string, body: unknown) =>
    api.call('PATCH', `${maps}/${name}`, body, { headers: { 'content-type': 'application/merge-patch+json' } });

  test('from a version tells what came after it, in order', async () => {
    const { json } = await api.call('GET', `${maps}?limit=1`);
    await api.call('POST', maps, configMap('w1'));
    const watched = watch(`resourceVersion=${json['metadata'].resourceVersion}`);
    await patch('w1', { data: { a: '1' } });
    await api.call('DELETE', `${maps}/w1`);
    await eventually(() => watched.events.length === 3);
    expect(seen(watched)).toEqual(['ADDED w1', 'MODIFIED w1', 'DELETED w1']);
    const versions = watched.events.map(({ object }) => Number(object.metadata['resourceVersion']));
    expect([...versions].sort((a, b) => a - b)).toEqual(versions);
    watched.stop();
  });

  test('without a version begins with what is there', async () => {
    await api.call('POST', maps, configMap('w2', {}, { set: 'w2' }));
    const watched = watch('labelSelector=set%3Dw2');
    await eventually(() => watched.events.length === 1);
    expect(seen(watched)).toEqual(['ADDED w2']);
    watched.stop();
  });

  test('with a selector shows objects that come to match as added and others as deleted', async () => {
    const { json } = await api.call('POST', maps, configMap('w3', {}, { color: 'blue' }));
    const watched = watch(`labelSelector=color%3Dred&resourceVersion=${json['metadata'].resourceVersion}`);
    await patch('w3', { metadata: { labels: { color: 'red' } } });
    await patch('w3', { metadata: { labels: { color: 'green' } } });
    await eventually(() => watched.events.length === 2);
    expect(seen(watched)).toEqual(['ADDED w3', 'DELETED w3']);
    watched.stop();
  });

  test('that asks for initial events gets them and a marked bookmark', async () => {
    const watched = watch('sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true');
    const { object } = await watched.until('BOOKMARK');
    expect(object.metadata['annotations']).toEqual({ 'k8s.io/initial-events-end': 'true' });
    watched.stop();
  });

  test('as a table has its columns in the first event only', async () => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io';
    const watched = watch('', { accept });
    await api.call('POST', maps, configMap('w4'));
    await eventually(() => watched.events.length >= 2);
    const columns = watched.events.map(
      ({ object }) => (object as unknown as { columnDefinitions: [] }).columnDefinitions,
    );
    expect(columns[0]!.length).toBeGreaterThan(0);
    expect(columns[1]!.length).toBe(0);
    watched.stop();
  });

  test('ends after its time', async () => {
    const watched = watch('timeoutSeconds=1&allowWatchBookmarks=true');
    await eventually(() => watched.ended);
    expect(watched.events.at(-1)!.type).toBe('BOOKMARK');
  });

  test('from a version before the server started is told to list again', async () => {
    const { json } = await api.call('GET', `${maps}?watch=1&resourceVersion=-1`);
    expect(json['code']).toBe(400);
    // The store was empty when this server started: its own first versions are known, so make one too old.
    for (let i = 0; i < 4200; i += 100)
      // Different objects: writes to one wait for each other's disk.
      await Promise.all(Array.from({ length: 100 }, (_, j) => api.call('POST', maps, configMap(`old-${i + j}`))));
    const { json: gone } = await api.call('GET', `${maps}?watch=1&resourceVersion=1`);
    expect(gone).toMatchObject({ code: 410, reason: 'Expired' });
  });
});

describe('the gRPC door', () => {
  let api: TestServer;
  let client: GrpcObjectsClient;
  const connect = (name: string) =>
    new GrpcObjectsClient(`127.0.0.1:${api.grpcPort}`, {
      ca: api.files.ca,
      certificate: api.files.certificate(name),
      key: api.files.key(name),
    });
  beforeAll(async () => {
    api = await startTestServer();
    client = connect('admin');
    await client.create(serviceAccounts, { metadata: { name: 'default', namespace: 'default' } });
  });
  afterAll(async () => {
    client.close();
    await api.close();
  });

  test('does what REST does, on the same objects', async () => {
    const created = await client.create(configMaps, configMap('g', { a: '1' }));
    expect((await api.call('GET', `${maps}/g`)).json).toEqual(created);
    const updated = await client.update(configMaps, { ...created, data: { a: '2' } });
    expect(updated.data).toEqual({ a: '2' });
    await expect(client.update(configMaps, created)).rejects.toMatchObject({ reason: 'Conflict', code: 409 });
    const key = { namespace: 'default', name: 'g' };
    const patched = await client.patch(configMaps, key, { type: 'merge', body: { data: { b: '3' } } });
    expect(patched.data).toEqual({ a: '2', b: '3' });
    expect(await client.get(configMaps, key)).toEqual(patched);
    await client.delete(configMaps, key);
    await expect(client.get(configMaps, key)).rejects.toMatchObject({
      reason: 'NotFound',
      message: 'configmaps "g" not found',
      details: { kind: 'configmaps', name: 'g' },
    });
  });

  test('streams long lists in chunks of one moment', async () => {
    const data = { blob: 'x'.repeat(100_000) };
    for (let i = 0; i < 50; i++) await client.create(configMaps, configMap(`l-${i}`, data, { list: 'yes' }));
    const list = await client.list(configMaps, { namespace: 'default', labelSelector: 'list=yes' });
    expect(list.items).toHaveLength(50);
    const versions = list.items.map(({ metadata }) => Number(metadata.resourceVersion));
    // The server may have written something of its own meanwhile.
    expect(Number(list.metadata.resourceVersion)).toBeGreaterThanOrEqual(Math.max(...versions));
    await client.deleteCollection(configMaps, { namespace: 'default', labelSelector: 'list=yes' });
    expect((await client.list(configMaps, { labelSelector: 'list=yes' })).items).toEqual([]);
  });

  test('answers each call of one stream for itself, as soon as it is done', async () => {
    const names = Array.from({ length: 1500 }, (_, i) => `many-${i}`);
    const large = { blob: 'x'.repeat(900_000) };
    const answers = await Promise.all([
      ...names.map(name => client.create(configMaps, configMap(name))),
      client.create(configMaps, configMap('large-1', large)),
      client.create(configMaps, configMap('large-2', large)),
    ]);
    expect(answers.map(({ metadata }) => metadata.name)).toEqual([...names, 'large-1', 'large-2']);
    const mixed = await Promise.allSettled([
      client.get(configMaps, { namespace: 'default', name: 'large-1' }),
      client.get(configMaps, { namespace: 'default', name: 'none' }),
      client.get(configMaps, { namespace: 'default', name: 'many-7' }, AbortSignal.abort(new Error('given up'))),
      client.get(configMaps, { namespace: 'default', name: 'many-7' }),
    ]);
    expect(mixed).toMatchObject([
      { value: { metadata: { name: 'large-1' }, data: large } },
      { reason: { reason: 'NotFound' } },
      { reason: { message: 'given up' } },
      { value: { metadata: { name: 'many-7' } } },
    ]);
    await client.deleteCollection(configMaps, { namespace: 'default' });
  });

  test('of a server that ends answers what was asked, or says that it was not', async () => {
    const first = await startTestServer();
    const files = { ca: first.files.ca, certificate: first.files.certificate('admin'), key: first.files.key('admin') };
    const caller = new GrpcObjectsClient(`127.0.0.1:${first.grpcPort}`, files);
    await caller.create(configMaps, configMap('before'));
    const asked = Promise.all(['a', 'b', 'c'].map(name => caller.create(configMaps, configMap(name))));
    // They are on their way when the server begins to end.
    await new Promise(resolve => setImmediate(() => setImmediate(resolve)));
    const [ended, closed] = await Promise.allSettled([asked, first.server.close()]);
    expect(closed.status).toBe('fulfilled');
    if (ended.status === 'rejected') expect(ended.reason).toMatchObject({ reason: 'ServiceUnavailable' });
    await expect(caller.get(configMaps, { namespace: 'default', name: 'before' })).rejects.toMatchObject({
      reason: 'ServiceUnavailable',
    });
    caller.close();
    await expect(caller.get(configMaps, { namespace: 'default', name: 'before' })).rejects.toMatchObject({
      message: 'the connection to the api-server is closed',
    });
    await first.close();
  });

  test('of a server that ends does so though the library never tells that its sessions have ended', async () => {
    // As it does of a session whose client has just gone.
    const silent = jest.spyOn(Server.prototype, 'tryShutdown').mockImplementation(() => undefined);
    const first = await startTestServer();
    await first.close();
    expect(silent).toHaveBeenCalled();
    silent.mockRestore();
  });

  test('asks for the same rights', async () => {
    const scheduler = connect('scheduler');
    const pod: Pod = {
      metadata: { name: 'p', namespace: 'default' },
      spec: { containers: [{ name: 'c', image: 'i' }] },
    };
    await client.create(pods, pod);
    await expect(scheduler.create(configMaps, configMap('no'))).rejects.toMatchObject({ reason: 'Forbidden' });
    const binding = { metadata: { name: 'p' }, target: { kind: 'Node', name: 'node-1' } };
    await scheduler.createSubresource(pods, { namespace: 'default', name: 'p' }, 'binding', binding);
    expect((await client.get(pods, { namespace: 'default', name: 'p' })).spec?.nodeName).toBe('node-1');
    scheduler.close();
  });

  test('refuses what is wrong with the Status that REST gives', async () => {
    const bad = { metadata: { name: 'Bad', namespace: 'default' }, spec: { containers: [] } };
    const error = await client.create(pods, bad).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StatusError);
    expect((error as StatusError).reason).toBe('Invalid');
    expect((error as StatusError).details?.causes?.map(({ field }) => field)).toContain('spec.containers');
  });
});

describe('joining', () => {
  let api: TestServer;
  beforeAll(async () => (api = await startTestServer()));
  afterAll(() => api.close());

  async function requests(nodeName: string) {
    const subject = { commonName: `system:node:${nodeName}`, organizations: ['system:nodes'] };
    const make = async () => (await createRequest({ subject })).request;
    return { kubelet: await make(), kubeletServing: await make(), kubeProxy: await make() };
  }
  const withSecret = { token: joinSecret };

  test('gives certificates for the node that was named', async () => {
    const ca = await api.call('GET', '/naru/v1/ca', undefined, { token: '' });
    const body = { nodeName: 'n1', addresses: ['10.95.0.11'], requests: await requests('n1') };
    const { code, json } = await api.call('POST', '/naru/v1/join', body, withSecret);
    expect(code).toBe(200);
    expect(json['ca']).toBe(ca.text);
    expect(certificateHash(ca.text)).toMatch(/^[0-9a-f]{64}$/);
    for (const certificate of Object.values(json['certificates']))
      expect(isSignedBy(certificate as string, ca.text)).toBe(true);
    expect(json['clusterInfo']).toEqual({ clusterName: 'test' });
  });

  test('wants the secret, a sane name and requests for that name', async () => {
    const body = { nodeName: 'n1', addresses: [], requests: await requests('n1') };
    expect((await api.call('POST', '/naru/v1/join', body, { token: 'wrong' })).code).toBe(401);
    expect((await api.call('POST', '/naru/v1/join', { ...body, nodeName: '../n' }, withSecret)).code).toBe(400);
    expect((await api.call('POST', '/naru/v1/join', { ...body, nodeName: 'n2' }, withSecret)).code).toBe(400);
    expect((await api.call('GET', '/api/v1/nodes', undefined, withSecret)).code).toBe(401);
  });

  test('ends when the node leaves: its Node goes', async () => {
    for (const name of ['node-1', 'node-2'])
      await api.call('POST', '/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name } });
    const own = { identity: 'node-1' };
    expect((await api.call('POST', '/naru/v1/leave', { nodeName: 'node-2' }, own)).code).toBe(403);
    // What others have said of it would be lost when it comes back.
    const mark = (spec: object) =>
      api.call(
        'PATCH',
        '/api/v1/nodes/node-1',
        { spec },
        { headers: { 'content-type': 'application/merge-patch+json' } },
      );
    const taint = { key: 'dedicated', effect: 'NoSchedule' };
    for (const spec of [{ unschedulable: true }, { unschedulable: null, taints: [taint] }]) {
      expect((await mark(spec)).code).toBe(200);
      const { json } = await api.call('POST', '/naru/v1/leave', { nodeName: 'node-1' }, own);
      expect(json['message']).toBe('node "node-1" is cordoned or tainted: who did so may delete its Node');
    }
    await mark({ taints: null });
    expect((await api.call('POST', '/naru/v1/leave', { nodeName: 'node-1' }, own)).code).toBe(200);
    expect((await api.call('GET', '/api/v1/nodes/node-1')).code).toBe(404);
    expect((await api.call('GET', '/api/v1/nodes/node-2')).code).toBe(200);
  });
});

describe('the feed', () => {
  let api: TestServer;
  let bus: NatsTestServer;
  let publisher: FeedPublisher;
  let feed: NatsFeed;
  const stop = new AbortController();

  beforeAll(async () => {
    bus = await NatsTestServer.start();
    const connection = { servers: [bus.url] };
    publisher = new FeedPublisher({ connection, logger: silentLogger, clock: systemClock });
    api = await startTestServer({ publish: events => publisher.publish(events) });
    publisher.start();
    feed = new NatsFeed({ ...connection, name: 'test', logger: silentLogger });
    await eventually(() => publisher.connected);
  });
  afterAll(async () => {
    stop.abort();
    await feed.close();
    await publisher.close();
    await api.close();
    await bus.stop();
  });

  function follow(filter: string) {
    const state = { messages: [] as FeedMessage[], bookmarks: [] as number[], lives: 0, lost: 0 };
    const listener: FeedListener = {
      // A bookmark comes whenever it was quiet for a second.
      onMessage: message =>
        message.type === 'BOOKMARK' ? state.bookmarks.push(message.version) : state.messages.push(message),
      onLive: () => state.lives++,
      onLost: () => state.lost++,
    };
    feed.subscribe(filter, listener, stop.signal);
    return state;
  }

  test('tells each commit in order, chained, and repeats the last version', async () => {
    const state = follow(feedFilter('', 'configmaps'));
    await eventually(() => state.lives > 0);
    await api.call('POST', maps, configMap('f1'));
    await api.call('POST', maps, configMap('f2'));
    await api.call('DELETE', `${maps}/f1`);
    await eventually(() => state.messages.length === 3);
    const [first, second, third] = state.messages;
    expect(state.messages.map(({ type, name }) => `${type} ${name}`)).toEqual(['ADDED f1', 'ADDED f2', 'DELETED f1']);
    expect([second!.previous, third!.previous]).toEqual([first!.version, second!.version]);
    await eventually(() => state.bookmarks.at(-1) === third!.version);
    expect(JSON.parse(Buffer.from(third!.data).toString()).metadata).toMatchObject({
      name: 'f1',
      resourceVersion: String(third!.version),
    });
  });

  test('never carries a Secret', async () => {
    const state = follow(feedFilter('', 'secrets'));
    await eventually(() => state.lives > 0);
    const secret: Secret = { metadata: { name: 's', namespace: 'default' }, stringData: { password: 'x' } };
    await api.call('POST', '/api/v1/namespaces/default/secrets', { apiVersion: 'v1', kind: 'Secret', ...secret });
    await eventually(() => state.messages.length > 0);
    expect(state.messages[0]).toMatchObject({ type: 'ADDED', name: 's', namespace: 'default' });
    expect(state.messages[0]!.data).toHaveLength(0);
    expect(secrets.resource).toBe('secrets');
  });

  test('tells nothing of Events, and an informer of them is refused', async () => {
    const state = follow(feedFilter('', 'events'));
    const others = follow(feedFilter('', 'configmaps'));
    await eventually(() => state.lives > 0 && others.lives > 0);
    const involvedObject = { kind: 'ConfigMap', name: 'told', namespace: 'default' };
    const event = { apiVersion: 'v1', kind: 'Event', metadata: { name: 'untold' }, involvedObject, reason: 'Test' };
    expect((await api.call('POST', '/api/v1/namespaces/default/events', event)).code).toBe(201);
    await api.call('POST', maps, configMap('told'));
    await eventually(() => others.messages.length > 0 && others.bookmarks.at(-1) === others.messages.at(-1)!.version);
    expect([state.messages, state.bookmarks]).toEqual([[], []]);
    const informers = new InformerFactory({ client: undefined as never, feed, logger: silentLogger });
    expect(() => informers.informer({ type: coreEvents })).toThrow('would never hear of a change');
  });

  test('files pods under their node', async () => {
    await api.call('POST', '/api/v1/namespaces/default/serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default' },
    });
    const state = follow(feedFilter('', 'pods', 'node-1.example'));
    await eventually(() => state.lives > 0);
    const containers = [{ name: 'c', image: 'i' }];
    const pod = (name: string, spec: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec });
    await api.call('POST', '/api/v1/namespaces/default/pods', pod('elsewhere', { containers, nodeName: 'other' }));
    await api.call('POST', '/api/v1/namespaces/default/pods', pod('here', { containers, nodeName: 'node-1.example' }));
    await eventually(() => state.messages.length > 0);
    expect(state.messages.map(({ name }) => name)).toEqual(['here']);
  });

  test('does not hold up writes while the bus is away, and makes readers list again when it is back', async () => {
    const state = follow(feedFilter('', 'configmaps'));
    await eventually(() => state.lives > 0);
    const before = state.lives;
    await bus.kill();
    await eventually(() => !publisher.connected);
    let times = 0;
    const { code } = await within(1_000, () => api.call('POST', maps, configMap(`dark-${times++}`)));
    expect(code).toBe(201);
    await bus.start();
    await eventually(() => publisher.connected);
    await eventually(() => state.lives > before);
    const told = (what: string) => state.messages.some(({ name }) => name.startsWith(what));
    // A reader that begins once more hears of what comes after that.
    let tries = 0;
    await eventually(async () => {
      await api.call('POST', maps, configMap(`light-${tries++}`));
      return told('light');
    });
    expect(told('dark')).toBe(false);
  });
});
