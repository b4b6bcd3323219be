import { persistentVolumeClaims, pods } from '@naru/api';
import { eventually } from '@naru/testing';
import { makePod, startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { ephemeralVolumeController } from './ephemeral-volume-controller';

const volumeClaimTemplate = {
  metadata: { labels: { a: 'b' } },
  spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
};
const pod = (name: string) =>
  makePod(name, { spec: { volumes: [{ name: 'scratch', ephemeral: { volumeClaimTemplate } }] } });
const key = { namespace: 'default', name: 'web-scratch' };

test('a pod with an ephemeral volume gets a claim of its own', async () => {
  const cluster = await startControllers([ephemeralVolumeController]);
  const { metadata } = cluster.api.seed(pods, pod('web'));
  await eventually(async () => {
    const claim = await cluster.api.get(persistentVolumeClaims, key);
    expect(claim.metadata).toMatchObject({
      labels: { a: 'b' },
      ownerReferences: [{ kind: 'Pod', name: 'web', uid: metadata.uid, controller: true }],
    });
    expect(claim.spec).toEqual(volumeClaimTemplate.spec);
  });
  await cluster.stop();
});

test('a claim of that name that another made is not taken', async () => {
  const cluster = await startControllers([ephemeralVolumeController]);
  cluster.api.seed(persistentVolumeClaims, { metadata: { ...key } });
  cluster.api.seed(pods, pod('web'));
  await eventually(() =>
    expect(cluster.events).toContainEqual({
      about: 'web',
      reason: 'EphemeralVolumeCreationFailed',
      message:
        'ephemeral volume scratch: PVC default/web-scratch was not created for pod default/web (pod is not owner)',
    }),
  );
  expect((await cluster.api.get(persistentVolumeClaims, key)).metadata.ownerReferences).toBeUndefined();
  await cluster.stop();
});

convergenceSuite([ephemeralVolumeController], {
  objects: api => void api.seed(pods, pod('web')),
  steps: [client => client.create(pods, pod('db')), client => client.delete(persistentVolumeClaims, key)],
  async expectEnd(api) {
    const names = (await api.list(persistentVolumeClaims)).items.map(({ metadata }) => metadata.name);
    expect(names.sort()).toEqual(['db-scratch', 'web-scratch']);
  },
});
