import { persistentVolumeClaims, persistentVolumes } from '@naru/api';
import { eventually } from '@naru/testing';
import { startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { volumeExpandController } from './volume-expand-controller';

const claim = (name: string, annotations: Record<string, string> = {}) =>
  [
    {
      metadata: { namespace: 'default', name },
      spec: { volumeName: `pv-${name}`, resources: { requests: { storage: '1Gi' } } },
      status: { phase: 'Bound', capacity: { storage: '1Gi' } },
    },
    { metadata: { name: `pv-${name}`, annotations } },
  ] as const;
const body = { spec: { resources: { requests: { storage: '2Gi' } } } };
const waiting = (about: string) => ({
  about,
  reason: 'ExternalExpanding',
  message: 'waiting for an external controller to expand this PVC',
});

test('a claim that asks for more is told to wait for its driver, unless its provisioner is ours', async () => {
  const cluster = await startControllers([volumeExpandController]);
  const { api } = cluster;
  const ours = { 'pv.kubernetes.io/provisioned-by': 'naru.dev/local-path' };
  for (const [each, volume] of [claim('local', ours), claim('data')]) {
    api.seed(persistentVolumes, volume);
    api.seed(persistentVolumeClaims, each);
  }
  for (const name of ['local', 'data'])
    await api.patch(persistentVolumeClaims, { namespace: 'default', name }, { type: 'merge', body });
  await eventually(() => expect(cluster.events).toContainEqual(waiting('data')));
  expect(cluster.events).not.toContainEqual(waiting('local'));
  await cluster.stop();
});

convergenceSuite([volumeExpandController], {
  objects(api) {
    const [each, volume] = claim('data');
    api.seed(persistentVolumes, volume);
    api.seed(persistentVolumeClaims, each);
  },
  steps: [
    client => client.patch(persistentVolumeClaims, { namespace: 'default', name: 'data' }, { type: 'merge', body }),
  ],
  async expectEnd(api) {
    const { status } = await api.get(persistentVolumeClaims, { namespace: 'default', name: 'data' });
    expect(status?.capacity).toEqual({ storage: '1Gi' });
  },
});
