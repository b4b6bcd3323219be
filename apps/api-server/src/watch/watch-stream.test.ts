import { configMaps } from '@naru/api';
import { SimulatedClock } from '@naru/testing';
import { encodeObject } from '../storage/codec';
import type { CacheEvent } from '../storage/event-ring';
import type { CacheListener, WatchCache } from '../storage/watch-cache';
import { WatchBudget } from './watch-budget';
import { WatchStream, type WatchOptions } from './watch-stream';

const turn = () => new Promise(resolve => setImmediate(resolve));

function setUp(maxBytes = 128 * 1024 * 1024) {
  const budget = new WatchBudget(maxBytes);
  const clock = new SimulatedClock();
  const listeners = new Set<CacheListener>();
  const cache = {
    select: () => [],
    eventsAfter: () => [],
    listen: (listener: CacheListener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as WatchCache;
  const definition = { type: configMaps } as unknown as WatchOptions['definition'];
  const open = (reads: boolean) => {
    const seen = { chunks: [] as Buffer[], destroyed: false, ended: false };
    const sink = {
      write: (chunk: Buffer) => {
        seen.chunks.push(chunk);
        return reads;
      },
      onDrain: () => undefined,
      end: () => void (seen.ended = true),
      destroy: () => void (seen.destroyed = true),
    };
    const stream = new WatchStream(sink, {
      definition,
      cache,
      selection: { namespace: '' },
      after: 1,
      bookmarks: false,
      initialEvents: false,
      timeoutMs: 3_600_000,
      clock,
      currentRevision: () => 1,
      view: bytes => bytes,
      sharedBy: definition,
      budget,
    });
    stream.start();
    return { stream, seen };
  };
  let revision = 1;
  const tell = (bytes: number): void => {
    const metadata = { name: 'a', namespace: 'b', resourceVersion: String(++revision) };
    const object = { ...{ apiVersion: 'v1', kind: 'ConfigMap' }, metadata, data: { a: 'x'.repeat(bytes) } };
    const entry = { bytes: encodeObject(object), namespace: 'b', name: 'a', revision, labels: {}, fields: {} };
    const event = { type: 'ADDED', revision, entry, previous: undefined } as unknown as CacheEvent;
    for (const listener of [...listeners]) listener.onEvent(event);
  };
  return { budget, clock, listeners, open, tell };
}

describe('watches', () => {
  test('one that never reads is cut off and gives its memory back, while another goes on', async () => {
    const { budget, listeners, open, tell } = setUp();
    const slow = open(false);
    const fast = open(true);
    for (let i = 0; i < 100; i++) {
      tell(100 * 1024);
      await turn();
    }
    expect(slow.seen).toMatchObject({ destroyed: true, ended: false });
    expect(slow.seen.chunks).toHaveLength(1);
    expect(fast.seen.chunks).toHaveLength(100);
    expect(budget.usedBytes).toBe(0);
    expect(listeners.size).toBe(1);
    fast.stream.stop();
  });

  test('a backlog of more than a megabyte is not kept for longer than a moment', async () => {
    const { budget, clock, open, tell } = setUp();
    const slow = open(false);
    for (let i = 0; i < 3; i++) {
      tell(1024 * 1024);
      await turn();
    }
    expect(slow.seen.destroyed).toBe(false);
    await clock.step(clock.now() + 1_000);
    expect(slow.seen.destroyed).toBe(true);
    expect(budget.usedBytes).toBe(0);
  });

  test('all together are bounded: who holds most goes first', async () => {
    const { budget, open, tell } = setUp(1024 * 1024);
    const early = open(false);
    tell(500 * 1024);
    await turn();
    const late = open(false);
    tell(300 * 1024);
    expect(early.seen.destroyed).toBe(true);
    expect(late.seen.destroyed).toBe(false);
    late.stream.stop();
    expect(budget.usedBytes).toBe(0);
  });

  test('get the same bytes of an event', async () => {
    const { open, tell } = setUp();
    const [a, b] = [open(true), open(true)];
    tell(10);
    await turn();
    expect(a.seen.chunks[0]).toBe(b.seen.chunks[0]);
    a.stream.stop();
    b.stream.stop();
  });
});
