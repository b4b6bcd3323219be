import { silentLogger } from '@naru/foundation';
import { Registry } from 'prom-client';
import { registerWorkqueueMetrics } from './metrics';
import { createWorkqueue } from './workqueue';

const queueOf = (reconcile: (key: string) => Promise<void>, concurrency = 2) =>
  createWorkqueue({ name: 'test', concurrency, reconcile, logger: silentLogger, baseDelayMs: 1 });

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise(resolve => setImmediate(resolve));
};

test('a key added twice while it waits runs once', async () => {
  const ran: string[] = [];
  const queue = queueOf(async key => void ran.push(key));
  queue.add('a');
  queue.add('a');
  queue.add('b');
  await until(() => ran.length === 2);
  await queue.shutDown();
  expect(ran).toEqual(['a', 'b']);
});

test('a key added while it runs runs once more, never beside itself', async () => {
  let running = 0;
  let most = 0;
  let runs = 0;
  let release: () => void = () => undefined;
  const queue = queueOf(async () => {
    most = Math.max(most, ++running);
    runs++;
    await new Promise<void>(resolve => (release = resolve));
    running--;
  });
  queue.add('a');
  await until(() => runs === 1);
  queue.add('a');
  queue.add('a');
  release();
  await until(() => runs === 2);
  release();
  await queue.shutDown();
  expect({ runs, most }).toEqual({ runs: 2, most: 1 });
});

test('a failed key is retried until it succeeds, and no more keys run at once than allowed', async () => {
  let failures = 3;
  let done = false;
  const queue = queueOf(async () => {
    if (failures-- > 0) throw new Error('not yet');
    done = true;
  }, 1);
  queue.add('a');
  await until(() => done);
  await queue.shutDown();
  expect(failures).toBe(-1);
});

test('of two delays for a key the earlier one counts', async () => {
  const ran: string[] = [];
  const queue = queueOf(async key => void ran.push(key));
  queue.addAfter('a', 60_000);
  queue.addAfter('a', 1);
  await until(() => ran.length === 1);
  await queue.shutDown();
  expect(ran).toEqual(['a']);
});

test('the metrics of a queue have the names of upstream, and say how long keys wait and are worked on', async () => {
  const registry = new Registry();
  registerWorkqueueMetrics(registry);
  let end: () => void = () => undefined;
  const running = new Promise<void>(resolve => (end = resolve));
  const queue = queueOf(() => running, 1);
  queue.add('a');
  queue.add('b');
  await until(() => queue.depth === 1);
  const during = await registry.metrics();
  expect(during).toContain('workqueue_depth{name="test"} 1');
  expect(during).toContain('workqueue_adds_total{name="test"} 2');
  expect(during).toMatch(/workqueue_longest_running_processor_seconds\{name="test"\} [\d.e-]+/);
  end();
  await until(() => queue.depth === 0);
  const after = await registry.metrics();
  expect(after).toMatch(/workqueue_queue_duration_seconds_count\{name="test"\} 2/);
  expect(after).toMatch(/workqueue_work_duration_seconds_count\{name="test"\} [12]/);
  await queue.shutDown();
});
