import {
  deployments,
  horizontalPodAutoscalers,
  pods,
  type HorizontalPodAutoscaler,
  type Pod,
  type Stored,
} from '@naru/api';
import { eventually, type MemoryObjects } from '@naru/testing';
import { makeDeployment, makePod, startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { applyBehavior, noteScaling, type History } from './behavior';
import { horizontalPodAutoscalerController } from './horizontal-pod-autoscaler-controller';
import { replicasPerPod } from './replica-calculator';

type Spec = HorizontalPodAutoscaler['spec'];
const key = { namespace: 'default', name: 'web' };
const now = Date.parse('2026-01-01T01:00:00Z');

const autoscaler = (spec: Partial<Spec> = {}): HorizontalPodAutoscaler => ({
  metadata: { ...key },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' },
    minReplicas: 1,
    maxReplicas: 10,
    metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 50 } } }],
    ...spec,
  },
});

function seedPods(api: MemoryObjects, count: number): void {
  for (let i = 0; i < count; i++) {
    const pod = makePod(`web-${i}`, {
      labels: { app: 'web' },
      ready: true,
      spec: { containers: [{ name: 'main', image: 'web:1', resources: { requests: { cpu: '1' } } }] },
    });
    api.seed(pods, { ...pod, status: { ...pod.status, startTime: '2020-01-01T00:00:00Z' } });
  }
}

/** metrics.k8s.io: every pod uses as much. */
const using = (count: number, cpu: string) => ({
  items: Array.from({ length: count }, (_, i) => ({
    metadata: { name: `web-${i}` },
    timestamp: '2026-01-01T00:59:50Z',
    window: '15s',
    containers: [{ name: 'main', usage: { cpu, memory: '1Mi' } }],
  })),
});

async function start(replicas: number, spec: Partial<Spec>, rest: (path: string) => unknown) {
  const cluster = await startControllers([horizontalPodAutoscalerController], { rest });
  cluster.api.seed(deployments, { ...makeDeployment('web', { replicas }), status: { replicas } });
  seedPods(cluster.api, replicas);
  cluster.api.seed(horizontalPodAutoscalers, autoscaler(spec));
  return cluster;
}

const replicasOf = async (api: MemoryObjects): Promise<number | undefined> =>
  (await api.get(deployments, key)).spec?.replicas;
const conditionsOf = async (api: MemoryObjects): Promise<Record<string, string | undefined>> => {
  const { status } = await api.get(horizontalPodAutoscalers, key);
  return Object.fromEntries((status?.conditions ?? []).map(({ type, reason }) => [type, reason]));
};

test('pods that use more than their share of cpu get company', async () => {
  const asked: string[] = [];
  const { api, events, stop } = await start(2, {}, path => {
    asked.push(path);
    return using(2, '900m');
  });
  await eventually(async () => expect(await replicasOf(api)).toBe(4));
  expect(asked[0]).toBe('/apis/metrics.k8s.io/v1beta1/namespaces/default/pods?labelSelector=app%3Dweb');
  await eventually(async () => {
    const { status } = await api.get(horizontalPodAutoscalers, key);
    expect(status).toMatchObject({ currentReplicas: 2, desiredReplicas: 4 });
    expect(status?.currentMetrics).toEqual([
      { type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 90, averageValue: '900m' } } },
    ]);
  });
  expect(await conditionsOf(api)).toEqual({
    AbleToScale: 'SucceededRescale',
    ScalingActive: 'ValidMetricFound',
    ScalingLimited: 'DesiredWithinRange',
  });
  expect(events).toContainEqual({
    about: 'web',
    reason: 'SuccessfulRescale',
    message: 'New size: 4; reason: cpu resource utilization (percentage of request) above target',
  });
  await stop();
});

test.each<[string, Spec['metrics'], string, unknown, number]>([
  [
    'of one container',
    [
      {
        type: 'ContainerResource',
        containerResource: { name: 'cpu', container: 'main', target: { type: 'Utilization', averageUtilization: 25 } },
      },
    ],
    '/apis/metrics.k8s.io/v1beta1/namespaces/default/pods',
    using(2, '500m'),
    4,
  ],
  [
    'of pods',
    [{ type: 'Pods', pods: { metric: { name: 'rps' }, target: { type: 'AverageValue', averageValue: '10' } } }],
    '/apis/custom.metrics.k8s.io/v1beta1/namespaces/default/pods/*/rps',
    {
      items: ['web-0', 'web-1'].map(name => ({
        describedObject: { name },
        value: '20',
        timestamp: '2026-01-01T00:00:00Z',
      })),
    },
    4,
  ],
  [
    'of an object',
    [
      {
        type: 'Object',
        object: {
          metric: { name: 'rps' },
          describedObject: { apiVersion: 'v1', kind: 'Service', name: 'front' },
          target: { type: 'Value', value: '100' },
        },
      },
    ],
    '/apis/custom.metrics.k8s.io/v1beta1/namespaces/default/services/front/rps',
    { items: [{ value: '150' }] },
    3,
  ],
  [
    'from outside',
    [
      {
        type: 'External',
        external: {
          metric: { name: 'queue', selector: { matchLabels: { q: 'a' } } },
          target: { type: 'AverageValue', averageValue: '10' },
        },
      },
    ],
    '/apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue?labelSelector=q%3Da',
    { items: [{ value: '35' }, { value: '15' }] },
    5,
  ],
])('a metric %s is read from its API', async (_what, metrics, wanted, answer, replicas) => {
  const { api, stop } = await start(2, { metrics: metrics ?? [] }, path => {
    if (!path.startsWith(wanted)) throw new Error(`asked for ${path}`);
    return answer;
  });
  await eventually(async () => expect(await replicasOf(api)).toBe(replicas));
  await stop();
});

test('without metrics nothing is changed, and the condition says why', async () => {
  const { api, events, stop } = await start(2, {}, () => {
    throw new Error('the server could not find the requested resource');
  });
  await eventually(async () => expect((await conditionsOf(api))['ScalingActive']).toBe('FailedGetResourceMetric'));
  expect(events.map(({ reason }) => reason)).toContain('FailedComputeMetricsReplicas');
  expect(await replicasOf(api)).toBe(2);
  await stop();
});

test('a metric that is silent keeps the others from scaling down, not from scaling up', async () => {
  const [cpu] = autoscaler().spec.metrics ?? [];
  const metrics = [
    cpu!,
    { type: 'External', external: { metric: { name: 'gone' }, target: { type: 'Value', value: '1' } } },
  ];
  const answer = (amount: string) => (path: string) => {
    if (path.includes('external')) throw new Error('gone');
    return using(4, amount);
  };
  const idle = await start(4, { metrics }, answer('1m'));
  await eventually(async () => expect((await conditionsOf(idle.api))['ScalingActive']).toBe('FailedGetExternalMetric'));
  expect(await replicasOf(idle.api)).toBe(4);
  await idle.stop();
  const busy = await start(4, { metrics }, answer('1'));
  await eventually(async () => expect(await replicasOf(busy.api)).toBe(8));
  await busy.stop();
});

test('the bounds hold whatever the metrics say', async () => {
  const above = await start(12, {}, () => using(12, '1m'));
  await eventually(async () => expect(await replicasOf(above.api)).toBe(10));
  await above.stop();
  const off = await start(0, {}, () => using(0, '1m'));
  await eventually(async () => expect((await conditionsOf(off.api))['ScalingActive']).toBe('ScalingDisabled'));
  expect(await replicasOf(off.api)).toBe(0);
  await off.stop();
});

const calculate = (values: Record<string, number | 'missing' | 'unready'>, current: number, target: number): number => {
  const all = Object.entries(values).map(([name, value]): Stored<Pod> => {
    const pod = makePod(name, { ready: value !== 'unready' });
    return {
      ...pod,
      status: { ...pod.status, startTime: '2020-01-01T00:00:00Z', phase: value === 'unready' ? 'Pending' : 'Running' },
    };
  });
  const known = Object.entries(values).filter(([, value]) => typeof value === 'number') as [string, number][];
  return replicasPerPod({
    pods: all,
    metrics: new Map(known.map(([name, value]) => [name, { value, timestampMs: now, windowMs: 0 }])),
    current,
    isCpu: true,
    now,
    tolerances: { up: 0.1, down: 0.1 },
    ratioOf: judged => [...judged.values()].reduce((sum, { value }) => sum + value, 0) / judged.size / target,
    assumed: () => target,
  });
};

test.each<[string, Record<string, number | 'missing' | 'unready'>, number]>([
  ['twice the target doubles', { a: 200, b: 200 }, 4],
  ['within a tenth nothing happens', { a: 109, b: 109 }, 2],
  ['half the target halves', { a: 50, b: 50 }, 1],
  ['a pod without metrics counts as idle when the others are busy', { a: 300, b: 'missing' }, 3],
  ['a pod without metrics counts as busy when the others are idle', { a: 10, b: 'missing' }, 2],
  ['a pod that starts counts as idle when the others are busy', { a: 300, b: 'unready' }, 3],
  ['a pod that starts does not turn the direction', { a: 150, b: 'unready' }, 2],
])('of two pods: %s', (_what, values, wanted) => {
  expect(calculate(values, 2, 100)).toBe(wanted);
});

const history = (): History => ({ recommendations: [], up: [], down: [] });

test('the way down waits for the stabilization window, the way up is bounded by the policies', () => {
  const past = history();
  expect(applyBehavior(autoscaler(), past, 2, 8, now).replicas).toBe(6);
  noteScaling(past, 2, 6, now);
  // Within the same fifteen seconds no further.
  expect(applyBehavior(autoscaler(), past, 6, 8, now + 1_000)).toMatchObject({
    replicas: 6,
    limited: { status: 'True', reason: 'ScaleUpLimit' },
  });
  expect(applyBehavior(autoscaler(), past, 6, 8, now + 16_000).replicas).toBe(8);
  const down = applyBehavior(autoscaler(), past, 8, 1, now + 60_000);
  expect(down).toMatchObject({ replicas: 8, ableToScale: { reason: 'ScaleDownStabilized' } });
  expect(applyBehavior(autoscaler(), past, 8, 1, now + 400_000).replicas).toBe(1);
});

test('policies may forbid a direction, or choose the smallest change', () => {
  const rules = (scaleDown: object) =>
    autoscaler({ behavior: { scaleDown: { stabilizationWindowSeconds: 0, ...scaleDown } } });
  const policies = [
    { type: 'Pods', value: 1, periodSeconds: 60 },
    { type: 'Percent', value: 50, periodSeconds: 60 },
  ];
  expect(applyBehavior(rules({ selectPolicy: 'Disabled', policies }), history(), 8, 2, now).replicas).toBe(8);
  expect(applyBehavior(rules({ selectPolicy: 'Min', policies }), history(), 8, 2, now).replicas).toBe(7);
  expect(applyBehavior(rules({ selectPolicy: 'Max', policies }), history(), 8, 2, now).replicas).toBe(4);
});

convergenceSuite(
  [horizontalPodAutoscalerController],
  {
    objects(api) {
      api.seed(deployments, { ...makeDeployment('web', { replicas: 2 }), status: { replicas: 2 } });
      seedPods(api, 2);
      api.seed(horizontalPodAutoscalers, autoscaler({ maxReplicas: 4 }));
    },
    steps: [
      client => client.patch(horizontalPodAutoscalers, key, { type: 'merge', body: { spec: { maxReplicas: 3 } } }),
    ],
    async expectEnd(api) {
      expect(await replicasOf(api)).toBe(3);
      expect((await conditionsOf(api))['AbleToScale']).toBe('ReadyForNewScale');
      expect((await api.get(horizontalPodAutoscalers, key)).status?.desiredReplicas).toBe(3);
    },
  },
  {},
  () => using(2, '1'),
);
