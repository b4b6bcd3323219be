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

test('a pod that runs with more than it asks for counts with that until it has less, in all or as a whole', () => {
  const pod = whole('a');
  const main = { name: 'main', image: 'x', imageID: '', ready: true, restartCount: 0 };
  const resources = { requests: { cpu: '3', memory: '1Gi' } };
  const shrinking = { ...pod, status: { ...pod.status, containerStatuses: [{ ...main, resources }] } };
  const asked = { cpu: '8' };
  const together = {
    ...{ ...pod, spec: { ...pod.spec!, resources: { requests: asked } } },
    status: { ...pod.status, containerStatuses: [main], resources: { requests: { cpu: '9' } } },
  };
  for (const form of [slimPod, (same: Stored<Pod>) => same]) {
    const millis = (what: Stored<Pod>) => createPodInfo(form(what)).requests.cpu;
    expect([pod, shrinking, together].map(millis)).toEqual([3100, 5100, 9100]);
  }
});

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

test('room that a resize gives back is used when the pod has let go of it', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('a', { cpu: '4' }));
  const report = (cpu: string): object => ({
    containerStatuses: [{ name: 'main', resources: { requests: { cpu } }, allocatedResources: { cpu: '1' } }],
  });
  api.seed(pods, { ...makePod({ name: 'shrinks', cpu: '1', nodeName: 'a' }), status: report('3') });
  const { scheduler, stop } = await startScheduler(api);
  await eventually(() => expect(scheduler.cache.getNode('a')?.requested.cpu).toBe(3000));
  api.seed(pods, makePod({ name: 'waits', cpu: '2' }));
  await eventually(() => expect(scheduler.queue.get('uid-waits')?.where).toBe('unschedulable'));
  const status = report('1');
  const key = { namespace: 'default', name: 'shrinks' };
  await api.patch(pods, key, { type: 'merge', body: { status } }, { subresource: 'status' });
  await eventually(() => expect(scheduler.cache.isPlaced('uid-waits')).toBe(true));
  await stop();
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
