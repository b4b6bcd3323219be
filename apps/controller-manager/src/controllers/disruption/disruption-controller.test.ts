import { podDisruptionBudgets, pods, replicaSets, type PodDisruptionBudget } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { makePod, makeReplicaSet, startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { demandOf, pendingDisruptions } from './budget';
import { disruptionController } from './disruption-controller';

const key = { namespace: 'default', name: 'web' };

test.each<[NonNullable<PodDisruptionBudget['spec']>, number, number]>([
  [{ minAvailable: 2 }, 5, 2],
  [{ minAvailable: '50%' }, 7, 4],
  [{ maxUnavailable: 1 }, 7, 6],
  [{ maxUnavailable: '30%' }, 7, 4],
  [{ maxUnavailable: 9 }, 7, 0],
  [{}, 5, 0],
])('%j of 5 pods and a scale of 7 means %i expected and %i healthy', (spec, expected, desiredHealthy) => {
  expect(demandOf({ spec }, 5, () => 7)).toEqual({ expected, desiredHealthy });
});

test('an allowed eviction counts until its pod goes, or two minutes have passed', () => {
  const now = Date.parse('2026-01-01T00:02:30Z');
  const disruptedPods = { a: '2026-01-01T00:02:00Z', b: '2026-01-01T00:00:00Z', gone: '2026-01-01T00:02:00Z' } as never;
  const status = { disruptionsAllowed: 0, currentHealthy: 0, desiredHealthy: 0, expectedPods: 0, disruptedPods };
  const { disrupted, nextMs } = pendingDisruptions(status, [makePod('a'), makePod('b')], now);
  expect(Object.keys(disrupted)).toEqual(['a']);
  expect(nextMs).toBe(90_000);
});

test('a budget follows its pods, and tells when it cannot count them', async () => {
  const api = new MemoryObjects();
  const cluster = await startControllers([disruptionController], { api });
  api.seed(replicaSets, makeReplicaSet('web', 3));
  const owner = (kind: string, uid = 'web') => ({
    labels: { app: 'web' },
    ready: true,
    metadata: { ownerReferences: [{ apiVersion: 'apps/v1', kind, name: 'web', uid, controller: true }] },
  });
  for (const name of ['a', 'b', 'c']) api.seed(pods, makePod(name, owner('ReplicaSet')));
  api.seed(podDisruptionBudgets, {
    metadata: { ...key },
    spec: { maxUnavailable: 1, selector: { matchLabels: { app: 'web' } } },
  });
  const expectStatus = (status: object, reason: string) =>
    eventually(async () => {
      const budget = await api.get(podDisruptionBudgets, key);
      expect(budget.status).toMatchObject(status);
      expect(budget.status?.conditions?.[0]?.reason).toBe(reason);
    });
  await expectStatus(
    { disruptionsAllowed: 1, currentHealthy: 3, desiredHealthy: 2, expectedPods: 3 },
    'SufficientPods',
  );
  await api.delete(pods, { namespace: 'default', name: 'a' });
  await expectStatus({ disruptionsAllowed: 0, currentHealthy: 2 }, 'InsufficientPods');
  await api.create(pods, makePod('d', owner('Elephant', 'elephant')));
  await expectStatus({ disruptionsAllowed: 0 }, 'SyncFailed');
  await cluster.stop();
});

convergenceSuite([disruptionController], {
  objects(api) {
    api.seed(replicaSets, makeReplicaSet('web', 3));
    for (const name of ['a', 'b', 'c'])
      api.seed(
        pods,
        makePod(name, {
          labels: { app: 'web' },
          ready: true,
          metadata: {
            ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'web', controller: true }],
          },
        }),
      );
    api.seed(podDisruptionBudgets, {
      metadata: { ...key },
      spec: { maxUnavailable: 2, selector: { matchLabels: { app: 'web' } } },
    });
  },
  steps: [client => client.delete(pods, { namespace: 'default', name: 'a' })],
  async expectEnd(api) {
    const { status } = await api.get(podDisruptionBudgets, key);
    expect(status).toMatchObject({ disruptionsAllowed: 1, currentHealthy: 2, desiredHealthy: 1, expectedPods: 3 });
  },
});
