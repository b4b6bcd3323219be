import { nodes, pods, type Pod, type Stored } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { makeNode, makePod, startScheduler } from '../fixtures';
import { createPodInfo } from './pod-info';
import { slimPod } from './slim-pod';

const term = { topologyKey: 'zone', labelSelector: { matchLabels: { app: 'db' } } };
const whole = (nodeName?: string): Stored<Pod> => {
  const pod = makePod({
    name: 'web',
    labels: { app: 'web' },
    cpu: '1',
    memory: '1Gi',
    hostPort: 80,
    priority: 5,
    overhead: { cpu: '100m' },
    initContainers: [{ name: 'sidecar', image: 'x', restartPolicy: 'Always', resources: { requests: { cpu: '2' } } }],
    affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } },
    volumes: [
      { name: 'data', persistentVolumeClaim: { claimName: 'data' } },
      { name: 'scratch', emptyDir: {} },
    ],
    tolerations: [{ operator: 'Exists' }],
    ...(nodeName ? { nodeName } : {}),
  });
  return { ...pod, metadata: { ...pod.metadata, annotations: { a: 'b' } }, status: { phase: 'Running' } };
};

test('a pod with a node keeps all that counts, and little else', () => {
  const slim = slimPod(whole('a'));
  const counted = (pod: Stored<Pod>) => {
    const { requests, nonZeroCpu, nonZeroMemory, hostPorts, affinity, key, uid } = createPodInfo(pod);
    return {
      requests,
      nonZeroCpu,
      nonZeroMemory,
      hostPorts,
      key,
      uid,
      terms: affinity?.requiredAnti.map(({ id }) => id),
    };
  };
  expect(counted(slim)).toEqual(counted(whole('a')));
  expect(slim.spec?.volumes).toEqual([{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }]);
  expect(slim.spec).toMatchObject({ nodeName: 'a', priority: 5 });
  expect(slim.status).toEqual({ phase: 'Running' });
  expect(slim.spec?.tolerations).toBeUndefined();
  expect(slim.metadata.annotations).toBeUndefined();
});

test('a pod that waits for a node stays whole', () => {
  expect(slimPod(whole())).toEqual(whole());
});

test('of a placed pod the latest object is kept, also when only its status has changed', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('a'));
  api.seed(pods, whole('a'));
  const { scheduler, stop } = await startScheduler(api);
  const placed = () => scheduler.cache.getNode('a')?.pods.get('uid-web')?.pod.status;
  await eventually(() => expect(placed()).toEqual({ phase: 'Running' }));
  const startTime = '2026-01-01T00:00:00Z';
  const key = { namespace: 'default', name: 'web' };
  await api.patch(pods, key, { type: 'merge', body: { status: { startTime } } }, { subresource: 'status' });
  await eventually(() => expect(placed()).toEqual({ phase: 'Running', startTime }));
  await stop();
});
