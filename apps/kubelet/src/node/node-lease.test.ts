import { leases } from '@naru/api';
import { silentLogger, StatusError, systemClock, type Clock } from '@naru/foundation';
import { eventually, MemoryObjects } from '@naru/testing';
import { NodeLease } from './node-lease';

const key = { namespace: 'kube-node-lease', name: 'n1' };

/** A clock whose sleeps are written down and end at once, `limit` times. */
function recordingClock(limit: number): { clock: Clock; sleeps: number[]; controller: AbortController } {
  const sleeps: number[] = [];
  const controller = new AbortController();
  const clock: Clock = {
    now: () => 1_000,
    after: systemClock.after,
    sleep: (ms: number): Promise<void> => {
      sleeps.push(ms);
      if (sleeps.length >= limit) controller.abort();
      return Promise.resolve();
    },
  };
  return { clock, sleeps, controller };
}

describe('NodeLease', () => {
  it('is renewed each quarter of its duration', async () => {
    const { clock, sleeps, controller } = recordingClock(3);
    const client = new MemoryObjects();
    const logger = silentLogger;
    await new NodeLease({ client, clock, logger, nodeName: 'n1', node: () => undefined, durationSeconds: 8 }).run(
      controller.signal,
    );
    expect(sleeps).toEqual([2_000, 2_000, 2_000]);
    const lease = await eventually(() => client.get(leases, key));
    expect(lease.spec).toMatchObject({ holderIdentity: 'n1', leaseDurationSeconds: 8 });
  });

  it('is tried again soon when a renewal failed', async () => {
    const { clock, sleeps, controller } = recordingClock(2);
    const client = new MemoryObjects();
    client.failNext(new StatusError('ServiceUnavailable', 'away'));
    const logger = silentLogger;
    await new NodeLease({ client, clock, logger, nodeName: 'n1', node: () => undefined, durationSeconds: 40 }).run(
      controller.signal,
    );
    expect(sleeps).toEqual([1_000, 10_000]);
  });
});
