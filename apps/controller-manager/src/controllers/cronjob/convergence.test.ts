import { cronJobs, jobs, type CronJob, type Job } from '@naru/api';
import { StatusError, systemClock, type Clock } from '@naru/foundation';
import { MemoryObjects, eventually } from '@naru/testing';
import { startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { cronJobController } from './cronjob-controller';

const key = { namespace: 'default', name: 'tick' };
const minute = 60_000;

/** A clock that is moved by hand and wakes those who wait. */
function handClock(start: number) {
  let now = start;
  const timers = new Set<{ at: number; call: () => void }>();
  const clock: Clock = {
    ...systemClock,
    now: () => now,
    after(ms: number, call: () => void) {
      const timer = { at: now + ms, call };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
  };
  const move = (ms: number): void => {
    now += ms;
    for (const timer of [...timers]) {
      if (timer.at > now) continue;
      timers.delete(timer);
      timer.call();
    }
  };
  return { clock, move };
}

function makeCronJob(spec: Partial<NonNullable<CronJob['spec']>> = {}): CronJob {
  return {
    metadata: { ...key, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      schedule: '* * * * *',
      timeZone: 'UTC',
      concurrencyPolicy: 'Allow',
      successfulJobsHistoryLimit: 1,
      failedJobsHistoryLimit: 1,
      jobTemplate: { spec: { template: { spec: { containers: [], restartPolicy: 'Never' } } } },
      ...spec,
    },
  };
}

async function start(spec: Partial<NonNullable<CronJob['spec']>> = {}) {
  const { clock, move } = handClock(Date.parse('2026-01-01T00:00:30Z'));
  const api = new MemoryObjects();
  const cluster = await startControllers([cronJobController], { api, clock });
  api.seed(cronJobs, makeCronJob(spec));
  await eventually(async () => expect(await api.get(cronJobs, key)).toBeDefined());
  await new Promise(resolve => setTimeout(resolve, 20));
  return { api, move, cluster };
}

const list = async (api: MemoryObjects): Promise<string[]> =>
  (await api.list(jobs)).items.map(({ metadata }) => metadata.name).sort();

async function finish(api: MemoryObjects, name: string, type: 'Complete' | 'Failed' = 'Complete'): Promise<void> {
  const { status } = await api.get(cronJobs, key);
  const time = status?.lastScheduleTime ?? '';
  const body: Partial<Job> = {
    status: {
      startTime: time,
      completionTime: time,
      conditions: [{ type, status: 'True', lastTransitionTime: time }],
    },
  };
  await api.patch(jobs, { namespace: 'default', name }, { type: 'merge', body }, { subresource: 'status' });
}

const first = Math.floor(Date.parse('2026-01-01T00:01:00Z') / minute);

test('jobs are started by the clock, followed, and forgotten beyond the history limit', async () => {
  const { api, move, cluster } = await start();
  expect(await list(api)).toEqual([]);
  for (const n of [0, 1, 2]) {
    move(minute);
    await eventually(async () => expect(await list(api)).toContain(`tick-${first + n}`));
    await eventually(async () => expect((await api.get(cronJobs, key)).status?.active).toHaveLength(1));
    await finish(api, `tick-${first + n}`);
    await eventually(async () => {
      const { status } = await api.get(cronJobs, key);
      expect(status?.active).toBeUndefined();
      expect(status?.lastSuccessfulTime).toBe(status?.lastScheduleTime);
    });
  }
  await eventually(async () => expect(await list(api)).toEqual([`tick-${first + 2}`]));
  await cluster.stop();
});

test('Allow starts a second job beside one that still runs', async () => {
  const { api, move, cluster } = await start({ concurrencyPolicy: 'Allow' });
  for (const count of [1, 2]) {
    move(minute);
    await eventually(async () => expect((await api.get(cronJobs, key)).status?.active).toHaveLength(count));
  }
  expect(await list(api)).toEqual([`tick-${first}`, `tick-${first + 1}`]);
  await cluster.stop();
});

test('Forbid does not start a second job, Replace stops the first', async () => {
  const forbid = await start({ concurrencyPolicy: 'Forbid' });
  forbid.move(minute);
  await eventually(async () => expect(await list(forbid.api)).toEqual([`tick-${first}`]));
  forbid.move(minute);
  await eventually(() => expect(forbid.cluster.events.map(({ reason }) => reason)).toContain('JobAlreadyActive'));
  expect(await list(forbid.api)).toEqual([`tick-${first}`]);
  await forbid.cluster.stop();
  const replace = await start({ concurrencyPolicy: 'Replace' });
  replace.move(minute);
  await eventually(async () => expect(await list(replace.api)).toEqual([`tick-${first}`]));
  await eventually(async () => expect((await replace.api.get(cronJobs, key)).status?.active).toHaveLength(1));
  replace.move(minute);
  await eventually(async () => expect(await list(replace.api)).toEqual([`tick-${first + 1}`]));
  await replace.cluster.stop();
});

test('a suspended one starts nothing, and a late one is missed', async () => {
  const suspended = await start({ suspend: true });
  suspended.move(5 * minute);
  await new Promise(resolve => setTimeout(resolve, 20));
  expect(await list(suspended.api)).toEqual([]);
  await suspended.cluster.stop();
  const late = await start({ startingDeadlineSeconds: 10, schedule: '*/5 * * * *' });
  late.move(5 * minute);
  await new Promise(resolve => setTimeout(resolve, 20));
  expect(await list(late.api)).toEqual([]);
  await late.cluster.stop();
});

test('one job is started for one time, though the status is not written at first', async () => {
  const { api, move, cluster } = await start();
  api.failNext(new StatusError('ServiceUnavailable', 'made up'), write => write.resource === 'cronjobs');
  api.failNext(new StatusError('Conflict', 'made up'), write => write.resource === 'cronjobs');
  move(minute);
  await eventually(async () => {
    move(30);
    expect((await api.get(cronJobs, key)).status?.lastScheduleTime).toBe('2026-01-01T00:01:00Z');
  });
  expect(await list(api)).toEqual([`tick-${first}`]);
  await cluster.stop();
});

// Once within the simulated time: at three minutes past, and not again that day.
convergenceSuite([cronJobController], {
  objects: api => void api.seed(cronJobs, makeCronJob({ schedule: '3 0 * * *' })),
  async expectEnd(api) {
    const { status } = await api.get(cronJobs, key);
    expect(status?.lastScheduleTime).toBe('2026-01-01T00:03:00Z');
    expect(await list(api)).toHaveLength(1);
    expect(status?.active).toHaveLength(1);
  },
});
