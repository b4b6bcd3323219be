import { nodes, pods } from '@naru/api';
import { StatusError } from '@naru/foundation';
import { MemoryObjects, SimulatedClock, eventually } from '@naru/testing';
import { createLab, makeNode, makePod, startScheduler } from './fixtures';
import { feasibleNodesToFind } from './framework/select-node';

const nodeOf = async (api: MemoryObjects, name: string) =>
  (await api.get(pods, { namespace: 'default', name })).spec?.nodeName;

test('a scheduler binds new pods and says so', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('a'));
  const { events, stop, scheduler } = await startScheduler(api);
  api.seed(pods, makePod({ name: 'web' }));
  await eventually(async () => expect(await nodeOf(api, 'web')).toBe('a'));
  await eventually(() =>
    expect(events).toEqual([{ reason: 'Scheduled', message: 'Successfully assigned default/web to a', pod: 'web' }]),
  );
  await eventually(() => expect(scheduler.cache.assumedCount).toBe(0));
  await stop();
});

test('an unschedulable pod gets the condition and is placed when a node comes', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('small', { cpu: '1' }));
  const { stop } = await startScheduler(api);
  const big = makePod({ name: 'big', cpu: '2' });
  api.seed(pods, { ...big, metadata: { ...big.metadata, generation: 3 } });
  await eventually(async () => {
    const pod = await api.get(pods, { namespace: 'default', name: 'big' });
    expect(pod.status?.conditions).toEqual([
      expect.objectContaining({
        type: 'PodScheduled',
        observedGeneration: 3,
        status: 'False',
        reason: 'Unschedulable',
        message:
          '0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.',
      }),
    ]);
  });
  api.seed(nodes, makeNode('large'));
  await eventually(async () => expect(await nodeOf(api, 'big')).toBe('large'));
  await stop();
});

test('a failed binding is given back and tried again', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('a'));
  api.failNext(new StatusError('ServiceUnavailable', 'no'), write => write.subresource === 'binding');
  const clock = new SimulatedClock();
  const { stop, scheduler } = await startScheduler(api, { clock });
  api.seed(pods, makePod({ name: 'web' }));
  await eventually(() => expect(scheduler.queue.pending.backoff).toBe(1));
  expect(scheduler.cache.podCount).toBe(0);
  await clock.step(clock.now() + 1_000);
  await eventually(async () => expect(await nodeOf(api, 'web')).toBe('a'));
  await stop();
});

test('a deleted pod makes room for one that waits', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('a', { cpu: '1' }));
  api.seed(pods, makePod({ name: 'old', cpu: '1', nodeName: 'a' }));
  const { stop, scheduler } = await startScheduler(api);
  api.seed(pods, makePod({ name: 'new', cpu: '1' }));
  await eventually(() => expect(scheduler.queue.pending.unschedulable).toBe(1));
  await api.delete(pods, { namespace: 'default', name: 'old' }, { gracePeriodSeconds: 0 });
  await eventually(async () => expect(await nodeOf(api, 'new')).toBe('a'));
  await stop();
});

test('pods with another scheduler name and finished pods are left alone', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('a'));
  const { stop, scheduler } = await startScheduler(api);
  api.seed(pods, makePod({ name: 'theirs', schedulerName: 'other' }));
  api.seed(pods, { ...makePod({ name: 'done', cpu: '4', nodeName: 'a' }), status: { phase: 'Succeeded' } });
  api.seed(pods, makePod({ name: 'ours', cpu: '4' }));
  await eventually(async () => expect(await nodeOf(api, 'ours')).toBe('a'));
  expect(await nodeOf(api, 'theirs')).toBeUndefined();
  expect(scheduler.cache.podCount).toBe(1);
  await stop();
});

test('lost feed messages do not lose pods', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('a'));
  const { stop } = await startScheduler(api);
  api.dropEvents = true;
  api.seed(pods, makePod({ name: 'missed' }));
  api.dropEvents = false;
  api.seed(pods, makePod({ name: 'heard' }));
  await eventually(async () => expect(await nodeOf(api, 'missed')).toBe('a'));
  await stop();
});

test('pods of higher priority are tried first', () => {
  const lab = createLab([makeNode('a', { cpu: '1' })]);
  const low = makePod({ cpu: '1', priority: 0 });
  const high = makePod({ cpu: '1', priority: 10 });
  lab.scheduler.enqueue(low, false);
  lab.scheduler.enqueue(high, false);
  lab.scheduler.scheduleOne();
  expect([...(lab.scheduler.cache.getNode('a')?.pods.keys() ?? [])]).toEqual([high.metadata.uid]);
});

test.each([
  [50, 0, 50],
  [100, 0, 100],
  [1000, 0, 420],
  [5000, 0, 500],
  [10_000, 0, 500],
  [1000, 70, 700],
])('of %i nodes at %i percent %i feasible ones are enough', (count, percentage, enough) =>
  expect(feasibleNodesToFind(count, percentage)).toBe(enough),
);
