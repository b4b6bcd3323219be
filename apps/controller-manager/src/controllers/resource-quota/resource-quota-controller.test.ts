import {
  configMaps,
  deployments,
  persistentVolumeClaims,
  pods,
  resourceClaims,
  resourceQuotas,
  services,
} from '@naru/api';
import { eventually } from '@naru/testing';
import { makeDeployment, makePod, startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { resourceQuotaController } from './resource-quota-controller';

const key = (name: string) => ({ namespace: 'default', name });
const requesting = (name: string, cpu: string, phase = 'Running') =>
  makePod(name, { phase, spec: { containers: [{ name: 'main', image: 'web:1', resources: { requests: { cpu } } }] } });

test('a quota counts what its namespace has, by size, by number and by class, and gives back what ends', async () => {
  const cluster = await startControllers([resourceQuotaController]);
  const { api } = cluster;
  const hard = {
    pods: '10',
    'requests.cpu': '4',
    services: '5',
    'services.nodeports': '2',
    persistentvolumeclaims: '3',
    'fast.storageclass.storage.k8s.io/requests.storage': '10Gi',
    configmaps: '9',
    'count/deployments.apps': '2',
    'gpu.deviceclass.resource.k8s.io/devices': '4',
  };
  api.seed(pods, requesting('a', '500m'));
  api.seed(pods, requesting('b', '1'));
  api.seed(pods, requesting('done', '1', 'Succeeded'));
  api.seed(pods, makePod('elsewhere', { namespace: 'other' }));
  api.seed(configMaps, { metadata: key('cm') });
  api.seed(deployments, makeDeployment('web'));
  api.seed(services, { metadata: key('s'), spec: { type: 'NodePort', ports: [{ port: 80, nodePort: 30000 }] } });
  api.seed(persistentVolumeClaims, {
    metadata: key('c'),
    spec: { storageClassName: 'fast', resources: { requests: { storage: '2Gi' } } },
  });
  const requests = [{ name: 'r', exactly: { deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 3 } }];
  api.seed(resourceClaims, { metadata: key('card'), spec: { devices: { requests } } });
  api.seed(resourceQuotas, { metadata: key('q'), spec: { hard } });
  const expectUsed = (used: Record<string, string>) =>
    eventually(async () => expect((await api.get(resourceQuotas, key('q'))).status).toEqual({ hard, used }));
  const used = {
    pods: '2',
    'requests.cpu': '1500m',
    services: '1',
    'services.nodeports': '1',
    persistentvolumeclaims: '1',
    'fast.storageclass.storage.k8s.io/requests.storage': '2Gi',
    configmaps: '1',
    'count/deployments.apps': '1',
    'gpu.deviceclass.resource.k8s.io/devices': '3',
  };
  await expectUsed(used);
  await api.patch(pods, key('b'), { type: 'merge', body: { status: { phase: 'Failed' } } }, { subresource: 'status' });
  await api.delete(configMaps, key('cm'));
  await api.delete(deployments, key('web'));
  await api.delete(resourceClaims, key('card'));
  const back = { configmaps: '0', 'count/deployments.apps': '0', 'gpu.deviceclass.resource.k8s.io/devices': '0' };
  await expectUsed({ ...used, pods: '1', 'requests.cpu': '500m', ...back });
  await cluster.stop();
});

test('a quota gets back what a resize takes from a pod when that is in effect', async () => {
  const cluster = await startControllers([resourceQuotaController]);
  const { api } = cluster;
  const running = (cpu: string) => ({
    containerStatuses: [
      {
        ...{ name: 'main', image: 'web:1', imageID: '', ready: true, restartCount: 0 },
        resources: { requests: { cpu } },
        allocatedResources: { cpu: '500m' },
      },
    ],
  });
  const pod = requesting('a', '500m');
  api.seed(pods, { ...pod, status: { ...pod.status, ...running('2') } });
  api.seed(resourceQuotas, { metadata: key('q'), spec: { hard: { 'requests.cpu': '4' } } });
  const expectUsed = (cpu: string) =>
    eventually(async () =>
      expect((await api.get(resourceQuotas, key('q'))).status?.used).toEqual({ 'requests.cpu': cpu }),
    );
  await expectUsed('2');
  await api.patch(pods, key('a'), { type: 'merge', body: { status: running('500m') } }, { subresource: 'status' });
  await expectUsed('500m');
  await cluster.stop();
});

test('a quota with a scope counts only the pods in it', async () => {
  const cluster = await startControllers([resourceQuotaController]);
  const { api } = cluster;
  api.seed(pods, requesting('burstable', '1'));
  api.seed(pods, makePod('best-effort'));
  for (const scope of ['BestEffort', 'NotBestEffort'])
    api.seed(resourceQuotas, { metadata: key(scope.toLowerCase()), spec: { hard: { pods: '5' }, scopes: [scope] } });
  await eventually(async () => {
    for (const name of ['besteffort', 'notbesteffort'])
      expect((await api.get(resourceQuotas, key(name))).status?.used).toEqual({ pods: '1' });
  });
  await cluster.stop();
});

convergenceSuite([resourceQuotaController], {
  objects(api) {
    for (const name of ['a', 'b', 'c']) api.seed(pods, requesting(name, '1'));
    api.seed(resourceQuotas, { metadata: key('q'), spec: { hard: { pods: '9' } } });
  },
  steps: [
    client => client.delete(pods, key('a')),
    client =>
      client.patch(resourceQuotas, key('q'), { type: 'merge', body: { spec: { hard: { 'requests.cpu': '5' } } } }),
    client => client.delete(pods, key('b')),
  ],
  async expectEnd(api) {
    expect((await api.get(resourceQuotas, key('q'))).status).toEqual({
      hard: { pods: '9', 'requests.cpu': '5' },
      used: { pods: '1', 'requests.cpu': '1' },
    });
  },
});
