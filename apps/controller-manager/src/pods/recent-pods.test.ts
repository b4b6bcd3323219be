import { pods } from '@naru/api';
import { systemClock } from '@naru/foundation';
import { MemoryObjects, eventually } from '@naru/testing';
import { makePod } from '../fixtures';
import { RecentPods } from './recent-pods';

async function setUp() {
  const api = new MemoryObjects();
  const abort = new AbortController();
  const informer = api.informers().informer({ type: pods });
  let now = Date.now();
  const clock = { ...systemClock, now: () => now };
  const recent = new RecentPods({ client: api, clock, informer });
  await informer.start(abort.signal);
  return { api, recent, informer, stop: () => abort.abort(), pass: (ms: number) => void (now += ms) };
}

const names = (list: { metadata: { name: string } }[]) => list.map(({ metadata }) => metadata.name);

test('a created pod counts although the informer does not show it', async () => {
  const { api, recent, stop } = await setUp();
  api.dropEvents = true;
  recent.noteCreated('owner', await api.create(pods, makePod('a')));
  expect(names(await recent.complete('owner', []))).toEqual(['a']);
  expect(await recent.complete('other', [])).toEqual([]);
  stop();
});

test('a pod that both know counts once', async () => {
  const { api, recent, stop } = await setUp();
  const pod = await api.create(pods, makePod('a'));
  recent.noteCreated('owner', pod);
  expect(names(await recent.complete('owner', [pod]))).toEqual(['a']);
  stop();
});

test('a pod that is gone again is forgotten, by its event or else by asking', async () => {
  const { api, recent, informer, stop, pass } = await setUp();
  recent.noteCreated('owner', await api.create(pods, makePod('heard')));
  await eventually(() => expect(informer.lister.size).toBe(1));
  await api.delete(pods, { namespace: 'default', name: 'heard' });
  await eventually(async () => expect(await recent.complete('owner', [])).toEqual([]));
  api.dropEvents = true;
  recent.noteCreated('owner', await api.create(pods, makePod('unheard')));
  await api.delete(pods, { namespace: 'default', name: 'unheard' });
  expect(names(await recent.complete('owner', []))).toEqual(['unheard']);
  pass(10_001);
  expect(await recent.complete('owner', [])).toEqual([]);
  stop();
});
