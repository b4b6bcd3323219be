import { leases } from '@naru/api';
import { silentLogger } from '@naru/foundation';
import { MemoryObjects, eventually } from './index';
import { LeaderElector } from '@naru/client';

/** A leader that comes late to its renewals, with all of this process, is none the less the leader. */
const patient = { leaseDurationMs: 600_000, renewDeadlineMs: 600_000 };
const candidate = (client: MemoryObjects, identity: string, patience: Partial<typeof patient> = {}): LeaderElector =>
  new LeaderElector({
    client,
    identity,
    name: 'test',
    logger: silentLogger,
    retryPeriodMs: 10,
    ...patience,
  });

/** Leads until its term ends. */
const term = (led: string[], identity: string) => (signal: AbortSignal) => {
  led.push(identity);
  return new Promise<void>(resolve => signal.addEventListener('abort', () => resolve()));
};

test('one of two candidates leads; when it resigns the other follows at once', async () => {
  const api = new MemoryObjects();
  const led: string[] = [];
  const first = new AbortController();
  const second = new AbortController();
  const running = candidate(api, 'a', patient).run(term(led, 'a'), first.signal);
  await eventually(() => expect(led).toEqual(['a']));
  const waiting = candidate(api, 'b', patient).run(term(led, 'b'), second.signal);
  await eventually(async () =>
    expect((await api.get(leases, { namespace: 'kube-system', name: 'test' })).spec?.holderIdentity).toBe('a'),
  );
  first.abort(new Error('stop'));
  await running;
  await eventually(() => expect(led).toEqual(['a', 'b']));
  second.abort(new Error('stop'));
  await waiting;
});

test('a leader that cannot renew stops leading', async () => {
  const api = new MemoryObjects();
  const led: string[] = [];
  const controller = new AbortController();
  const running = candidate(api, 'a', { renewDeadlineMs: 100 }).run(term(led, 'a'), controller.signal);
  await eventually(() => expect(led).toEqual(['a']));
  const lease = await api.get(leases, { namespace: 'kube-system', name: 'test' });
  // Another has taken the lease, as after a long pause of this process.
  await api.update(leases, {
    ...lease,
    metadata: { ...lease.metadata, resourceVersion: '' },
    spec: { ...lease.spec, holderIdentity: 'b', leaseDurationSeconds: 60 },
  });
  await running;
  controller.abort();
});
