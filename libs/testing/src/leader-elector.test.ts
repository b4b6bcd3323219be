import { leases } from '@naru/api';
import { silentLogger } from '@naru/foundation';
import { MemoryObjects, eventually } from './index';
import { LeaderElector } from '@naru/client';

const candidate = (client: MemoryObjects, identity: string): LeaderElector =>
  new LeaderElector({
    client,
    identity,
    name: 'test',
    logger: silentLogger,
    leaseDurationMs: 1_000,
    renewDeadlineMs: 100,
    retryPeriodMs: 10,
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
  const running = candidate(api, 'a').run(term(led, 'a'), first.signal);
  await eventually(() => expect(led).toEqual(['a']));
  const waiting = candidate(api, 'b').run(term(led, 'b'), second.signal);
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
  const running = candidate(api, 'a').run(term(led, 'a'), controller.signal);
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
