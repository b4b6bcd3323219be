import type { HorizontalPodAutoscaler, HorizontalPodAutoscalerV1 } from '../types';
import type { FieldError } from '../validation/field-error';
import { horizontalPodAutoscalerKind as kind, horizontalPodAutoscalerV1Kind as v1 } from './horizontal-pod-autoscaler';

type Metrics = NonNullable<HorizontalPodAutoscaler['spec']['metrics']>;

const scaleTargetRef = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' };
const autoscaler = (spec: Partial<HorizontalPodAutoscaler['spec']> = {}): HorizontalPodAutoscaler => ({
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'web', namespace: 'default' },
  spec: { scaleTargetRef, maxReplicas: 5, ...spec },
});
const problems = (errors: FieldError[]): string[] => errors.map(e => `${e.field}: ${e.detail}`);
const cpu = (averageUtilization: number): Metrics[number] => ({
  type: 'Resource',
  resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } },
});

test('an autoscaler without metrics aims at 80% of the CPU', () => {
  const o = autoscaler({ behavior: { scaleDown: { selectPolicy: 'Min' } } });
  kind.strategy.applyDefaults(o);
  expect(o.spec).toMatchObject({ minReplicas: 1, metrics: [cpu(80)] });
  expect(o.spec.behavior?.scaleUp).toMatchObject({ selectPolicy: 'Max', stabilizationWindowSeconds: 0 });
  expect(o.spec.behavior?.scaleDown).toEqual({
    selectPolicy: 'Min',
    policies: [{ type: 'Percent', value: 100, periodSeconds: 15 }],
  });
  expect(kind.strategy.validateCreate(o)).toEqual([]);
});

test('every kind of metric survives the way through autoscaling/v1 and back', () => {
  const metric = { name: 'requests', selector: { matchLabels: { verb: 'get' } } };
  const o = autoscaler({
    minReplicas: 2,
    metrics: [
      cpu(70),
      { type: 'Resource', resource: { name: 'memory', target: { type: 'AverageValue', averageValue: '1Gi' } } },
      {
        type: 'ContainerResource',
        containerResource: { name: 'cpu', container: 'c', target: { type: 'Utilization', averageUtilization: 50 } },
      },
      { type: 'Pods', pods: { metric, target: { type: 'AverageValue', averageValue: '10' } } },
      { type: 'Object', object: { describedObject: scaleTargetRef, metric, target: { type: 'Value', value: '5' } } },
      {
        type: 'Object',
        object: { describedObject: scaleTargetRef, metric, target: { type: 'AverageValue', averageValue: '6' } },
      },
      { type: 'External', external: { metric, target: { type: 'AverageValue', averageValue: '7' } } },
    ],
    behavior: { scaleUp: { policies: [{ type: 'Pods', value: 1, periodSeconds: 60 }] } },
  });
  o.status = {
    desiredReplicas: 3,
    currentReplicas: 2,
    currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 65 } } }],
    conditions: [{ type: 'AbleToScale', status: 'True' }],
  };
  const shown = v1.storedAs!.fromStored(o) as HorizontalPodAutoscalerV1;
  expect(shown).toMatchObject({
    apiVersion: 'autoscaling/v1',
    spec: { minReplicas: 2, maxReplicas: 5, targetCPUUtilizationPercentage: 70 },
    status: { currentReplicas: 2, currentCPUUtilizationPercentage: 65 },
  });
  expect(shown.spec).not.toHaveProperty('metrics');
  const annotations = shown.metadata?.annotations ?? {};
  expect(JSON.parse(annotations['autoscaling.alpha.kubernetes.io/metrics']!)).toContainEqual({
    type: 'Pods',
    pods: { metricName: 'requests', selector: metric.selector, targetAverageValue: '10' },
  });
  const stored = v1.storedAs!.toStored(shown) as HorizontalPodAutoscaler;
  expect(stored.metadata).toEqual(o.metadata);
  expect(stored.spec.metrics).toEqual(o.spec.metrics);
  expect(stored.status).toEqual(o.status);
  expect(stored.spec.behavior?.scaleUp?.policies).toEqual(o.spec.behavior?.scaleUp?.policies);
});

test('an annotation that is not JSON does not hurt an autoscaling/v1 object', () => {
  const annotations = { 'autoscaling.alpha.kubernetes.io/metrics': '{', note: 'kept' };
  const o = { ...autoscaler(), metadata: { name: 'web', annotations } } as HorizontalPodAutoscalerV1;
  const stored = v1.storedAs!.toStored(o) as HorizontalPodAutoscaler;
  expect(stored.spec.metrics).toEqual([cpu(80)]);
  expect(stored.metadata?.annotations).toEqual({ note: 'kept' });
});

test.each<[string, Partial<HorizontalPodAutoscaler['spec']>, string[]]>([
  ['limits that cross', { minReplicas: 6 }, ['spec.maxReplicas: must be greater than or equal to `minReplicas`']],
  ['no room', { maxReplicas: 0 }, ['spec.maxReplicas: must be greater than 0']],
  ['no target', { scaleTargetRef: { kind: 'Deployment', name: '' } }, ['spec.scaleTargetRef.name: ']],
  [
    'a metric of no kind',
    { metrics: [{ type: 'Pods' }] },
    ['spec.metrics[0].pods: must populate information for the given metric source'],
  ],
  [
    'two sources in one metric',
    { metrics: [{ ...cpu(5), pods: { metric: { name: 'm' }, target: { type: 'AverageValue', averageValue: '1' } } }] },
    ['spec.metrics[0].pods: must populate the given metric source only'],
  ],
  [
    'both targets',
    {
      metrics: [
        {
          type: 'Resource',
          resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 1, averageValue: '1' } },
        },
      ],
    },
    ['spec.metrics[0].resource.target.averageValue: may not set both a target raw value and a target utilization'],
  ],
  [
    'a window that is too long',
    {
      behavior: {
        scaleUp: { stabilizationWindowSeconds: 3601, policies: [{ type: 'Pods', value: 1, periodSeconds: 1 }] },
      },
    },
    ['spec.behavior.scaleUp.stabilizationWindowSeconds: must be less than or equal to 3600'],
  ],
])('an autoscaler with %s is refused', (_, spec, expected) => {
  expect(problems(kind.strategy.validateCreate(autoscaler(spec)))).toEqual(expected);
});

test('the table of an autoscaler shows each metric as it is and as it should be', () => {
  const o = autoscaler({ metrics: [cpu(80), cpu(10), cpu(20)] });
  o.status = {
    desiredReplicas: 1,
    currentMetrics: [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: 7 } } }],
  };
  const cells = kind.columns.map(column => column.cell(o, 0));
  expect(cells.slice(0, 5)).toEqual([
    'web',
    'Deployment/web',
    'cpu: 7%/80%, cpu: <unknown>/10% + 1 more...',
    '<unset>',
    5,
  ]);
});
