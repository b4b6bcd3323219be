import { leases, pods, replicaSets } from '@naru/api';
import { InformerFactory, LeaderElector } from '@naru/client';
import { silentLogger } from '@naru/foundation';
import { MemoryObjects, SimulatedClock, SimulatedProcess, SimulatedRandom } from '@naru/testing';
import { replicaSetController } from './controllers/replicaset/replicaset-controller';
import { makeReplicaSet } from './fixtures';
import { defaultConfig } from './framework/config';
import { ClusterInformers } from './framework/informers';
import { runControllers } from './framework/run-controllers';

const leaseKey = { namespace: 'kube-system', name: 'kube-controller-manager' };

/** A controller-manager as main.ts puts it together, on simulated time. */
function startManager(api: MemoryObjects, clock: SimulatedClock, identity: string): SimulatedProcess {
  const manager = new SimulatedProcess({ api, clock, random: new SimulatedRandom(identity.length) });
  const { client, feed, clock: own, signal } = manager;
  const lead = async (term: AbortSignal): Promise<void> => {
    const factory = new InformerFactory({ client, feed, logger: silentLogger, clock: own });
    const running = runControllers([replicaSetController], {
      client,
      informers: new ClusterInformers(factory),
      recorder: () => ({ record: () => undefined }),
      readPath: () => Promise.reject(new Error('no REST here')),
      deletePath: () => Promise.reject(new Error('no REST here')),
      logger: silentLogger,
      clock: own,
      config: defaultConfig,
      signal: term,
    });
    await factory.start(term);
    running.begin();
    await new Promise<void>(resolve => term.addEventListener('abort', () => resolve(), { once: true }));
    await running.stop();
  };
  const elector = new LeaderElector({ client, logger: silentLogger, clock: own, name: leaseKey.name, identity });
  void elector.run(lead, signal).catch(() => undefined);
  return manager;
}

async function pass(clock: SimulatedClock, ms: number): Promise<void> {
  const until = clock.now() + ms;
  while (await clock.step(until));
}

test('of two controller-managers one works, and when it dies the other takes over', async () => {
  const clock = new SimulatedClock();
  const api = new MemoryObjects(clock);
  const key = { namespace: 'default', name: 'web' };
  api.seed(replicaSets, makeReplicaSet('web', 3));
  const first = startManager(api, clock, 'first');
  await pass(clock, 1_000);
  const second = startManager(api, clock, 'the second');
  await pass(clock, 60_000);
  expect((await api.get(leases, leaseKey)).spec?.holderIdentity).toBe('first');
  expect((await api.list(pods)).items).toHaveLength(3);
  expect(second.writes).toBe(0);

  first.crash();
  await api.patch(replicaSets, key, { type: 'merge', body: { spec: { replicas: 5 } } });
  await pass(clock, 5_000);
  // The lease of the dead one has to run out first.
  expect((await api.list(pods)).items).toHaveLength(3);
  await pass(clock, 20_000);
  const { spec } = await api.get(leases, leaseKey);
  expect(spec).toMatchObject({ holderIdentity: 'the second', leaseTransitions: 1 });
  expect((await api.list(pods)).items).toHaveLength(5);
  second.crash();
});

test('a leader that cannot renew its lease stops before another may begin', async () => {
  const clock = new SimulatedClock();
  const api = new MemoryObjects(clock);
  const key = { namespace: 'default', name: 'web' };
  api.seed(replicaSets, makeReplicaSet('web', 1));
  const cutOff = startManager(api, clock, 'first');
  await pass(clock, 5_000);
  cutOff.faults = { unavailable: 1 };
  await pass(clock, 14_000);
  // Its network is back, but its term is over: it must not touch anything.
  cutOff.faults = {};
  const before = cutOff.writes;
  await api.patch(replicaSets, key, { type: 'merge', body: { spec: { replicas: 2 } } });
  await pass(clock, 60_000);
  expect(cutOff.writes).toBe(before);
  expect((await api.list(pods)).items).toHaveLength(1);
  cutOff.crash();
});
