import { persistentVolumeClaims, persistentVolumes, pods } from '@naru/api';
import { eventually } from '@naru/testing';
import { makePod, startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { pvProtectionController, pvcProtectionController } from './volume-protection-controllers';

const key = (name: string) => ({ namespace: 'default', name });
const user = (name: string, claimName: string, nodeName?: string) =>
  makePod(name, {
    ...(nodeName ? { nodeName } : {}),
    spec: { volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }] },
  });
const both = [pvcProtectionController, pvProtectionController];

test('a deleted claim stays until the last pod that uses it is gone; a pod without a node does not hold it', async () => {
  const cluster = await startControllers(both);
  const { api } = cluster;
  api.seed(persistentVolumeClaims, { metadata: key('used') });
  api.seed(persistentVolumeClaims, { metadata: key('wanted') });
  api.seed(pods, user('p', 'used', 'n1'));
  api.seed(pods, user('q', 'wanted'));
  await eventually(async () => {
    for (const { metadata } of (await api.list(persistentVolumeClaims)).items)
      expect(metadata.finalizers).toEqual(['kubernetes.io/pvc-protection']);
  });
  for (const name of ['used', 'wanted']) await api.delete(persistentVolumeClaims, key(name));
  const left = async () => (await api.list(persistentVolumeClaims)).items.map(({ metadata }) => metadata.name);
  await eventually(async () => expect(await left()).toEqual(['used']));
  await api.delete(pods, key('p'), { gracePeriodSeconds: 0 });
  await eventually(async () => expect(await left()).toEqual([]));
  await cluster.stop();
});

convergenceSuite(both, {
  objects(api) {
    api.seed(persistentVolumes, { metadata: { name: 'bound' }, status: { phase: 'Bound' } });
    api.seed(persistentVolumes, { metadata: { name: 'free' }, status: { phase: 'Available' } });
    for (const name of ['used', 'free']) api.seed(persistentVolumeClaims, { metadata: key(name) });
    api.seed(pods, user('p', 'used', 'n1'));
  },
  steps: [
    client => client.delete(persistentVolumes, { name: 'bound' }),
    client => client.delete(persistentVolumes, { name: 'free' }),
    client => client.delete(persistentVolumeClaims, key('used')),
    client => client.delete(persistentVolumeClaims, key('free')),
    client => client.delete(pods, key('p'), { gracePeriodSeconds: 0 }),
  ],
  async expectEnd(api) {
    expect((await api.list(persistentVolumeClaims)).items).toEqual([]);
    // Unless it went before it could be protected.
    const left = (await api.list(persistentVolumes)).items.map(({ metadata }) => metadata.name);
    expect(left.filter(name => name !== 'bound')).toEqual([]);
  },
});
