import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { configMaps, pods, secrets, type ConfigMap, type KubeObject, type ResourceType, type Stored } from '@naru/api';
import {
  GrpcObjectsClient,
  InformerFactory,
  NatsFeed,
  connect,
  connectionFlags,
  feedFilter,
  objectKey,
  type Connection,
  type Informer,
} from '@naru/client';
import { parseFlags, silentLogger, systemClock } from '@naru/foundation';
import { EtcdDriver } from '@naru/store';
import { EtcdTestServer, seeded } from '@naru/store/testing';
import { NatsTestServer } from '@naru/testing';
import { FeedPublisher } from './feed/publisher';
import { Link } from './testing/link';
import { eventually, startTestServer, type TestServer } from './testing/test-server';

const seed = Number(process.env['NARU_SEED'] ?? 3);
let bus: NatsTestServer;
let feed: FeedPublisher;
let server: TestServer;

const publisher = (): FeedPublisher => {
  const made = new FeedPublisher({ connection: { servers: bus.url }, logger: silentLogger, clock: systemClock });
  made.start();
  return made;
};

beforeAll(async () => {
  bus = await NatsTestServer.start();
  feed = publisher();
  server = await startTestServer({ publish: events => feed.publish(events) });
});
afterAll(async () => {
  await feed.close();
  await server.close();
  await bus.stop();
});

interface Line {
  connection: Connection;
  /** Everything between the client and the servers. */
  links: Link[];
}

const open: Record<'native' | 'rest', () => Promise<Line>> = {
  async native() {
    const ask = await Link.to(server.grpcPort);
    const tell = await Link.to(bus.port);
    const { files } = server;
    const flags = [
      `--api-server=127.0.0.1:${ask.port}`,
      `--nats=nats://127.0.0.1:${tell.port}`,
      `--ca=${files.ca}`,
      `--certificate=${files.certificate('admin')}`,
      `--key=${files.key('admin')}`,
    ];
    return { links: [ask, tell], connection: await connect('test', parseFlags(connectionFlags, flags), silentLogger) };
  },
  async rest() {
    const link = await Link.to(server.port);
    const kubeconfig = path.join(server.folder, `kubeconfig-${link.port}`);
    const cluster = { server: `https://127.0.0.1:${link.port}`, 'certificate-authority': 'ca.crt' };
    const user = { 'client-certificate': 'admin.crt', 'client-key': 'admin.key' };
    const config = {
      'current-context': 'c',
      contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
      clusters: [{ name: 'k', cluster }],
      users: [{ name: 'u', user }],
    };
    writeFileSync(kubeconfig, JSON.stringify(config));
    const flags = parseFlags(connectionFlags, ['--kubeconfig', kubeconfig]);
    return { links: [link], connection: await connect('test', flags, silentLogger) };
  },
};

/** What the handlers of an informer were told, what they must conclude from it, and what of it cannot be. */
function record<T extends KubeObject>(informer: Informer<T>) {
  const heard: string[] = [];
  const wrong: string[] = [];
  const known = new Map<string, string>();
  const hear = (verb: string, { metadata }: Stored<T>, before: string | undefined): void => {
    const key = objectKey(metadata);
    if (known.get(key) !== before) wrong.push(`${verb} ${key} ${metadata.resourceVersion}`);
    if (verb === 'delete') known.delete(key);
    else known.set(key, metadata.resourceVersion);
    heard.push(`${verb} ${metadata.name}`);
  };
  informer.addHandler({
    onAdd: object => hear('add', object, undefined),
    onUpdate: (object, old) => hear('update', object, old.metadata.resourceVersion),
    onDelete: object => hear('delete', object, known.get(objectKey(object.metadata)) ?? 'missing'),
  });
  return { heard, known, wrong };
}

const content = <T extends KubeObject>(informer: Informer<T>): Map<string, string> =>
  new Map(informer.lister.list().map(object => [objectKey(object), object.metadata.resourceVersion]));

const stored = async (type: ResourceType, namespace: string): Promise<Map<string, string>> => {
  const { json } = await server.call('GET', `/api/v1/namespaces/${namespace}/${type.resource}`);
  const items = json['items'] as { metadata: { name: string; namespace: string; resourceVersion: string } }[];
  return new Map(items.map(({ metadata }) => [objectKey(metadata), metadata.resourceVersion]));
};

describe.each(['native', 'rest'] as const)('over the %s transport', transport => {
  let line: Line;
  let stop: AbortController;
  const namespace = `informers-${transport}`;
  const configMap = (name: string, text = ''): ConfigMap => ({ metadata: { name, namespace }, data: { text } });

  beforeAll(() => server.call('POST', '/api/v1/namespaces', { metadata: { name: namespace } }));
  beforeEach(async () => {
    line = await open[transport]();
    stop = new AbortController();
  });
  afterEach(async () => {
    stop.abort();
    await line.connection.close();
    for (const link of line.links) link.close();
  });

  test('an informer shows what is there and then hears of every change once and in order', async () => {
    const { client, informers } = line.connection;
    await client.create(configMaps, configMap('before'));
    const informer = informers.informer({ type: configMaps, namespace });
    const { heard, wrong } = record(informer);
    await informers.start(stop.signal);
    expect(informer.lister.get({ namespace, name: 'before' })?.data).toEqual({ text: '' });
    heard.length = 0;
    const told: string[] = [];
    /** One change after the other: an informer that lists again tells of several as one. */
    const tells = async (what: string): Promise<void> => {
      told.push(what);
      await eventually(() => heard.length >= told.length);
    };
    const created = await client.create(configMaps, configMap('a'));
    await tells('add a');
    await client.update(configMaps, { ...created, data: { text: 'new' } });
    await tells('update a');
    await client.patch(configMaps, { namespace, name: 'a' }, { type: 'merge', body: { data: { more: 'x' } } });
    await tells('update a');
    await client.delete(configMaps, { namespace, name: 'before' });
    await tells('delete before');
    await client.create(configMaps, configMap('last'));
    await tells('add last');
    expect(wrong).toEqual([]);
    expect(heard).toEqual(told);
    expect(informer.lister.get({ namespace, name: 'a' })?.data).toEqual({ text: 'new', more: 'x' });
    await client.deleteCollection(configMaps, { namespace, labelSelector: '' });
    await eventually(() => informer.lister.list(namespace).length === 0 || undefined);
  });

  test('the secret in a secret arrives with it', async () => {
    const { client, informers } = line.connection;
    const informer = informers.informer({ type: secrets, namespace });
    await informers.start(stop.signal);
    await client.create(secrets, { metadata: { name: 's', namespace }, stringData: { password: 'hidden' } });
    const secret = await eventually(() => informer.lister.get({ namespace, name: 's' }));
    expect(Buffer.from(secret.data!['password']!, 'base64').toString()).toBe('hidden');
  });

  test("an informer of a node's pods hears of them when they are bound, and of no others", async () => {
    const { client, informers } = line.connection;
    const informer = informers.informer({ type: pods, partition: 'n1', fieldSelector: 'spec.nodeName=n1' });
    await informers.start(stop.signal);
    await client.create({ ...pods, resource: 'serviceaccounts', kind: 'ServiceAccount' } as never, {
      metadata: { name: 'default', namespace },
    });
    for (const name of ['other', 'mine']) {
      await client.create(pods, { metadata: { name, namespace }, spec: { containers: [{ name: 'c', image: 'i' }] } });
      const target = { apiVersion: 'v1', kind: 'Node', name: name === 'mine' ? 'n1' : 'n2' };
      await client.createSubresource(pods, { namespace, name }, 'binding', { metadata: { name }, target } as never);
    }
    await eventually(() => informer.lister.get({ namespace, name: 'mine' }));
    await client.delete(pods, { namespace, name: 'mine' }, { gracePeriodSeconds: 0 });
    await eventually(() => informer.lister.size === 0 || undefined);
  });

  test('what happens while the lines are cut is known after they are mended', async () => {
    const { informers } = line.connection;
    const url = `/api/v1/namespaces/${namespace}/configmaps`;
    await server.call('POST', url, configMap('goes'));
    const informer = informers.informer({ type: configMaps, namespace });
    const { known, wrong } = record(informer);
    await informers.start(stop.signal);
    for (const link of line.links) link.cut();
    await server.call('POST', url, configMap('comes'));
    await server.call('DELETE', `${url}/goes`);
    for (const link of line.links) link.heal();
    await eventually(
      () => (informer.lister.get({ namespace, name: 'comes' }) && !known.has(`${namespace}/goes`)) || undefined,
    );
    // And what comes later is told, not only found.
    await server.call('POST', url, configMap('later'));
    await eventually(() => informer.lister.get({ namespace, name: 'later' }));
    expect(known).toEqual(content(informer));
    expect(wrong).toEqual([]);
  });

  test(`an informer is right in the end whatever was cut while many wrote (seed ${seed})`, async () => {
    const random = seeded(seed);
    const { informers } = line.connection;
    const informer = informers.informer({ type: configMaps, namespace });
    const { known, wrong } = record(informer);
    await informers.start(stop.signal);
    const url = `/api/v1/namespaces/${namespace}/configmaps`;
    const headers = { 'content-type': 'application/merge-patch+json' };
    const writer = async (id: number): Promise<void> => {
      for (let step = 0; step < 60; step++) {
        const name = `w${id}-${Math.floor(random() * 6)}`;
        const chance = random();
        if (chance < 0.4) await server.call('POST', url, configMap(name));
        else if (chance < 0.7)
          await server.call('PATCH', `${url}/${name}`, { data: { step: String(step) } }, { headers });
        else await server.call('DELETE', `${url}/${name}`);
        if (random() < 0.05) for (const link of line.links) link.cut();
        if (random() < 0.2) for (const link of line.links) link.heal();
      }
    };
    await Promise.all(Array.from({ length: 4 }, (_, id) => writer(id)));
    for (const link of line.links) link.heal();
    const truth = await stored(configMaps, namespace);
    const same = (): boolean => JSON.stringify([...content(informer)].sort()) === JSON.stringify([...truth].sort());
    await eventually(() => same() || undefined);
    expect(known).toEqual(content(informer));
    expect(wrong).toEqual([]);
  });
});

test('an informer goes on by listing while the bus is away, and is told again after its return', async () => {
  const { connection, links } = await open.native();
  const stop = new AbortController();
  const informer = connection.informers.informer({ type: configMaps, namespace: 'default' });
  await connection.informers.start(stop.signal);
  const url = '/api/v1/namespaces/default/configmaps';
  await bus.kill();
  await server.call('POST', url, { metadata: { name: 'unheard' } });
  await eventually(() => informer.lister.get({ namespace: 'default', name: 'unheard' }));
  await bus.start();
  await eventually(() => feed.connected || undefined);
  await server.call('POST', url, { metadata: { name: 'told' } });
  await eventually(() => informer.lister.get({ namespace: 'default', name: 'told' }));
  stop.abort();
  await connection.close();
  for (const link of links) link.close();
});

test('two servers that publish the same changes tell each of them once, and a reader sees no gap', async () => {
  const etcd = await EtcdTestServer.start();
  const own = await NatsTestServer.start();
  const publishers = [0, 1].map(
    () => new FeedPublisher({ connection: { servers: own.url }, logger: silentLogger, clock: systemClock }),
  );
  const servers: TestServer[] = [];
  for (const each of publishers) {
    const store = await EtcdDriver.open({ servers: [etcd.url], prefix: '/naru' });
    servers.push(await startTestServer({ store, publish: events => each.publish(events) }));
    each.start();
    await eventually(() => each.connected || undefined);
  }
  const { files, grpcPort } = servers[0]!;
  const [certificate, key] = [files.certificate('admin'), files.key('admin')];
  const client = new GrpcObjectsClient(`127.0.0.1:${grpcPort}`, { ca: files.ca, certificate, key });
  const lists = jest.spyOn(client, 'list');
  const told = new NatsFeed({ servers: [own.url], name: 'test', logger: silentLogger });
  const stop = new AbortController();
  // Else the informer lists for want of a feed, and again when there is one.
  await new Promise<void>(onLive => {
    const [onMessage, onLost] = [() => undefined, () => undefined];
    told.subscribe(feedFilter('', configMaps.resource), { onMessage, onLive, onLost }, stop.signal);
  });
  const informers = new InformerFactory({ client, feed: told, logger: silentLogger });
  const informer = informers.informer({ type: configMaps, namespace: 'default' });
  const { heard } = record(informer);
  await informers.start(stop.signal);
  heard.length = 0;
  const before = lists.mock.calls.length;
  const names = Array.from({ length: 40 }, (_, i) => `c-${i}`);
  for (const [i, name] of names.entries())
    await servers[i % 2]!.call('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name } });
  await eventually(() => heard.length >= names.length || undefined);
  expect(heard).toEqual(names.map(name => `add ${name}`));
  expect(lists.mock.calls.length).toBe(before);
  // One that ends takes nothing away: the other one tells.
  await publishers[0]!.close();
  await servers[1]!.call('POST', '/api/v1/namespaces/default/configmaps', { metadata: { name: 'after' } });
  await eventually(() => informer.lister.get({ namespace: 'default', name: 'after' }));
  stop.abort();
  await told.close();
  client.close();
  await publishers[1]!.close();
  await Promise.all(servers.map(each => each.close()));
  await own.stop();
  await etcd.stop();
});
