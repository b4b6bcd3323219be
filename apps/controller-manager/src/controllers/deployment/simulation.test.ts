import { deployments, pods, replicaSets } from '@naru/api';
import { makeDeployment } from '../../fixtures';
import { convergenceSuite, simulatedKubelet } from '../../simulation';
import { replicaSetController } from '../replicaset/replicaset-controller';
import { deploymentController } from './deployment-controller';

const key = { namespace: 'default', name: 'web' };
const image = (name: string) => ({ spec: { template: { spec: { containers: [{ name: 'main', image: name }] } } } });

convergenceSuite([deploymentController, replicaSetController], {
  objects: api => void api.seed(deployments, makeDeployment('web', { replicas: 4 })),
  others: [simulatedKubelet()],
  steps: [
    client => client.patch(deployments, key, { type: 'merge', body: image('web:2') }),
    client => client.patch(deployments, key, { type: 'merge', body: { spec: { replicas: 5 } } }),
    client => client.patch(deployments, key, { type: 'merge', body: image('web:3') }),
  ],
  async expectEnd(api) {
    const { status, metadata } = await api.get(deployments, key);
    expect(status).toMatchObject({ replicas: 5, updatedReplicas: 5, availableReplicas: 5 });
    expect(status?.observedGeneration).toBe(metadata.generation);
    const images = (await api.list(pods)).items.map(pod => pod.spec?.containers[0]?.image);
    expect(images).toEqual(Array(5).fill('web:3'));
    const sizes = (await api.list(replicaSets)).items.map(set => set.status?.replicas ?? 0);
    expect(sizes.sort()).toEqual([0, 0, 5].slice(-sizes.length));
  },
  // 25 % more than wanted, rounded up.
  async always(api) {
    const alive = (await api.list(pods)).items.filter(pod => !pod.metadata.deletionTimestamp);
    expect(alive.length).toBeLessThanOrEqual(7);
  },
});
