import { jobs, pods, type Job, type Pod } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { startControllers } from '../../fixtures';
import { convergenceSuite, simulatedKubelet } from '../../simulation';
import { ttlAfterFinishedController } from '../ttl-after-finished/ttl-after-finished-controller';
import { makeJob, readJob, runPods } from './fixtures';
import { jobController } from './job-controller';
import { indexOf, isTracked } from './job-pod';

type Outcome = Parameters<typeof runPods>[1];

async function start(outcome: Outcome, spec: Partial<NonNullable<Job['spec']>>) {
  const api = new MemoryObjects();
  const stopPods = await runPods(api, outcome);
  const cluster = await startControllers([jobController, ttlAfterFinishedController], { api });
  api.seed(jobs, makeJob(spec));
  return {
    api,
    events: cluster.events,
    async stop() {
      await cluster.stop();
      stopPods();
    },
  };
}

async function expectEnd(api: MemoryObjects, type: 'Complete' | 'Failed', status: Job['status']): Promise<void> {
  await eventually(async () => {
    const job = await readJob(api);
    expect(job.status?.conditions?.map(condition => condition.type)).toContain(type);
    expect(job.status).toMatchObject({ ...status, uncountedTerminatedPods: {}, terminating: 0 });
    expect(job.status?.active).toBeUndefined();
    expect((await api.list(pods)).items.filter(isTracked)).toEqual([]);
  });
}

test('a job with completions and parallelism completes', async () => {
  const { api, events, stop } = await start(() => 'Succeeded', { completions: 7, parallelism: 3 });
  await expectEnd(api, 'Complete', { succeeded: 7 });
  expect((await readJob(api)).status?.completionTime).toBeDefined();
  expect((await api.list(pods)).items).toHaveLength(7);
  expect(events.map(({ reason }) => reason)).toContain('Completed');
  await stop();
});

test('an indexed job gives each pod its index', async () => {
  const { api, stop } = await start(() => 'Succeeded', { completions: 4, parallelism: 2, completionMode: 'Indexed' });
  await expectEnd(api, 'Complete', { succeeded: 4, completedIndexes: '0-3' });
  const all = (await api.list(pods)).items;
  expect(all.map(indexOf).sort()).toEqual([0, 1, 2, 3]);
  expect(all[0]?.spec?.containers[0]?.env?.[0]?.name).toBe('JOB_COMPLETION_INDEX');
  expect(all[0]?.spec?.hostname).toMatch(/^work-\d$/);
  await stop();
});

test('a failing job fails after its limit, and what still runs is stopped', async () => {
  let started = 0;
  const outcome = (): ReturnType<Outcome> => (started++ < 1 ? 'Running' : 'Failed');
  const first = new Map<string, ReturnType<Outcome>>();
  const steady: Outcome = pod => {
    const name = pod.metadata?.name ?? '';
    if (!first.has(name)) first.set(name, outcome());
    return first.get(name) as ReturnType<Outcome>;
  };
  const { api, events, stop } = await start(steady, { completions: 5, parallelism: 2, backoffLimit: 2 });
  // Three failures exceed the limit of two; the running pod counts as the fourth.
  await expectEnd(api, 'Failed', { failed: 4 });
  expect(events.map(({ reason }) => reason)).toContain('BackoffLimitExceeded');
  await stop();
});

test('limits per index let the other indexes go on', async () => {
  const spec = { completions: 3, parallelism: 3, completionMode: 'Indexed', backoffLimitPerIndex: 1, backoffLimit: 99 };
  const { api, stop } = await start(pod => (indexOf(pod) === 1 ? 'Failed' : 'Succeeded'), spec);
  await expectEnd(api, 'Failed', { succeeded: 2, failed: 2, completedIndexes: '0,2', failedIndexes: '1' });
  await stop();
});

test('a suspended job runs nothing until it is resumed', async () => {
  const { api, stop } = await start(() => 'Succeeded', { suspend: true });
  await eventually(async () =>
    expect((await readJob(api)).status?.conditions).toMatchObject([{ type: 'Suspended', status: 'True' }]),
  );
  expect((await api.list(pods)).items).toEqual([]);
  await api.patch(jobs, { namespace: 'default', name: 'work' }, { type: 'merge', body: { spec: { suspend: false } } });
  await expectEnd(api, 'Complete', { succeeded: 1 });
  await stop();
});

test('a finished job is deleted after its ttl', async () => {
  const { api, stop } = await start(() => 'Succeeded', { ttlSecondsAfterFinished: 0 });
  await eventually(async () => expect((await api.list(jobs)).items).toEqual([]));
  await stop();
});

test('a pod that lost its owner is adopted again, and one that matches no more is let go of and replaced', async () => {
  const { api, stop } = await start(() => 'Running', { completions: 2, parallelism: 2 });
  const own = async (): Promise<Pod[]> =>
    (await api.list(pods)).items.filter(({ metadata }) => metadata.ownerReferences?.length);
  await eventually(async () => expect(await own()).toHaveLength(2));
  const [orphan, released] = (await api.list(pods)).items;
  const change = (pod: typeof orphan, metadata: object) =>
    api.patch(pods, { namespace: 'default', name: pod!.metadata.name }, { type: 'merge', body: { metadata } });
  await change(orphan, { ownerReferences: null });
  await eventually(async () => {
    const { metadata } = await api.get(pods, { namespace: 'default', name: orphan!.metadata.name });
    expect(metadata.ownerReferences).toMatchObject([{ kind: 'Job', name: 'work', controller: true }]);
  });
  await change(released, { labels: null });
  await eventually(async () => {
    const { metadata } = await api.get(pods, { namespace: 'default', name: released!.metadata.name });
    expect(metadata.ownerReferences ?? []).toEqual([]);
    expect(await own()).toHaveLength(2);
  });
  await stop();
});

test('pods of a job that is deleted are released', async () => {
  const { api, stop } = await start(() => 'Running', { completions: 2, parallelism: 2 });
  await eventually(async () => expect((await api.list(pods)).items.filter(isTracked)).toHaveLength(2));
  await api.delete(jobs, { namespace: 'default', name: 'work' });
  await eventually(async () => expect((await api.list(pods)).items.filter(isTracked)).toEqual([]));
  await stop();
});

const workKey = { namespace: 'default', name: 'work' };

/** Every second pod of an index fails. */
function everySecondFails() {
  const seen = new Map<string, 'Succeeded' | 'Failed'>();
  let count = 0;
  return (pod: Pod) => {
    const uid = pod.metadata?.uid ?? '';
    const phase = seen.get(uid) ?? (count++ % 2 === 0 ? 'Failed' : 'Succeeded');
    seen.set(uid, phase);
    return phase;
  };
}

convergenceSuite([jobController], {
  objects: api => void api.seed(jobs, makeJob({ completions: 6, parallelism: 3, backoffLimit: 1_000 })),
  others: [simulatedKubelet({ phaseOf: everySecondFails() })],
  steps: [client => client.patch(jobs, workKey, { type: 'merge', body: { spec: { parallelism: 2 } } })],
  async expectEnd(api) {
    const { status } = await api.get(jobs, workKey);
    expect(status?.conditions?.map(({ type }) => type)).toContain('Complete');
    expect(status).toMatchObject({ succeeded: 6, uncountedTerminatedPods: {} });
    const all = (await api.list(pods)).items;
    expect(all.filter(isTracked)).toEqual([]);
    // Each is counted; one that had ended when it was deleted as surplus is counted as well.
    const failed = all.filter(pod => pod.status?.phase === 'Failed').length;
    expect(status?.failed ?? 0).toBeGreaterThanOrEqual(failed);
  },
});

convergenceSuite([jobController, ttlAfterFinishedController], {
  objects: api =>
    void api.seed(jobs, makeJob({ completions: 2, completionMode: 'Indexed', ttlSecondsAfterFinished: 60 })),
  others: [simulatedKubelet({ phaseOf: () => 'Succeeded' })],
  async expectEnd(api) {
    expect((await api.list(jobs)).items).toEqual([]);
    expect((await api.list(pods)).items.filter(isTracked)).toEqual([]);
  },
});
