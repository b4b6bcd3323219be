import { configMaps } from '@naru/api';
import {
  NatsFeed,
  ReflectingInformer,
  feedEpochSubject,
  feedFilter,
  feedHeaders,
  feedStream,
  feedSubject,
  type FeedMessage,
} from '@naru/client';
import { silentLogger } from '@naru/foundation';
import { connect, headers, type NatsConnection } from 'nats';
import { MemoryObjects, NatsTestServer, eventually } from './index';

let server: NatsTestServer;
let publisher: NatsConnection;
let feed: NatsFeed;

const addStream = async (): Promise<void> => {
  publisher = await connect({ servers: server.url, timeout: 60_000 });
  const manager = await publisher.jetstreamManager({ timeout: 60_000 });
  await manager.streams.add({ name: feedStream, subjects: ['feed.>'], storage: 'memory' as never });
};

const publish = async (name: string, version: number, previous?: number): Promise<void> => {
  const head = headers();
  head.set(feedHeaders.type, 'MODIFIED');
  head.set(feedHeaders.version, String(version));
  if (previous !== undefined) head.set(feedHeaders.previous, String(previous));
  const subject = feedSubject({ group: '', resource: 'configmaps', namespace: 'default', name });
  await publisher
    .jetstream({ timeout: 60_000 })
    .publish(subject, Buffer.from(JSON.stringify({ metadata: { name } })), { headers: head, msgID: String(version) });
};

beforeEach(async () => {
  server = await NatsTestServer.start();
  await addStream();
  feed = new NatsFeed({ servers: [server.url], name: 'test', logger: silentLogger });
});

afterEach(async () => {
  await feed.close();
  await publisher.close();
  await server.stop();
});

function listen() {
  const controller = new AbortController();
  const messages: FeedMessage[] = [];
  const counts = { live: 0, lost: 0 };
  const listener = {
    onMessage: (message: FeedMessage) => void messages.push(message),
    onLive: () => void counts.live++,
    onLost: () => void counts.lost++,
  };
  feed.subscribe(feedFilter('', 'configmaps'), listener, controller.signal);
  return { controller, messages, counts };
}

test('a message arrives with its parts, and a change that is published twice arrives once', async () => {
  const { messages, counts, controller } = listen();
  await eventually(() => expect(counts.live).toBeGreaterThan(0));
  await publish('a.b%c', 7, 5);
  await publish('a.b%c', 7, 5);
  await publish('last', 8, 7);
  await eventually(() => expect(messages).toHaveLength(2));
  expect(messages[0]).toMatchObject({
    type: 'MODIFIED',
    version: 7,
    previous: 5,
    partition: '_',
    namespace: 'default',
    name: 'a.b%c',
  });
  controller.abort();
});

test('a start of an api-server makes the readers list again', async () => {
  const { counts, controller } = listen();
  await eventually(() => expect(counts.live).toBeGreaterThan(0));
  const before = counts.live;
  publisher.publish(feedEpochSubject, 'new');
  await eventually(() => expect(counts.live).toBeGreaterThan(before));
  controller.abort();
});

test('a killed bus is noticed, and the subscription lives again after its return', async () => {
  const { messages, counts, controller } = listen();
  await eventually(() => expect(counts.live).toBeGreaterThan(0));
  await server.kill();
  await eventually(() => expect(counts.lost).toBeGreaterThan(0));
  await publisher.close();
  const before = counts.live;
  await server.start();
  await addStream();
  await eventually(() => expect(counts.live).toBeGreaterThan(before));
  await publish('again', 1);
  await eventually(() => expect(messages.map(message => message.name)).toEqual(['again']));
  controller.abort();
});

test('an informer goes on by listing while the bus is away', async () => {
  const api = new MemoryObjects();
  const controller = new AbortController();
  const informer = new ReflectingInformer({ type: configMaps }, { client: api, feed, logger: silentLogger });
  await informer.start(controller.signal);
  await server.kill();
  await api.create(configMaps, { metadata: { namespace: 'default', name: 'unheard' } });
  await eventually(() => expect(informer.lister.size).toBe(1));
  controller.abort();
  await server.start();
});
