import type { HorizontalPodAutoscaler, HorizontalPodAutoscalerV1 } from '../types';

type Metric = NonNullable<HorizontalPodAutoscaler['spec']['metrics']>[number];
type MetricStatus = NonNullable<NonNullable<HorizontalPodAutoscaler['status']>['currentMetrics']>[number];
type Status = NonNullable<HorizontalPodAutoscaler['status']>;

/** What autoscaling/v1 has no fields for travels in these annotations, as JSON. */
const annotation = {
  metrics: 'autoscaling.alpha.kubernetes.io/metrics',
  currentMetrics: 'autoscaling.alpha.kubernetes.io/current-metrics',
  conditions: 'autoscaling.alpha.kubernetes.io/conditions',
  behavior: 'autoscaling.alpha.kubernetes.io/behavior',
} as const;

/** A metric's amounts and a metric's name as autoscaling/v1 spells them in its annotations. */
interface Flat {
  name?: string;
  container?: string;
  metricName?: string;
  target?: unknown;
  selector?: unknown;
  metricSelector?: unknown;
  [amount: string]: unknown;
}
type FlatMetric = { type: string } & Partial<Record<Source, Flat>>;
type Source = 'resource' | 'containerResource' | 'pods' | 'object' | 'external';
const sources: readonly Source[] = ['resource', 'containerResource', 'pods', 'object', 'external'];

interface Nested {
  name?: string;
  container?: string;
  metric?: { name: string; selector?: unknown };
  describedObject?: unknown;
  target?: Amounts;
  current?: Amounts;
}
interface Amounts {
  type?: string;
  value?: unknown;
  averageValue?: unknown;
  averageUtilization?: unknown;
}

type Side = 'target' | 'current';

/** The annotation's key of an amount; only objects do not say the side in that of their average. */
function amountKeys(source: Source, side: Side): [Exclude<keyof Amounts, 'type'>, string][] {
  const average = source === 'object' ? 'averageValue' : `${side}AverageValue`;
  return [
    ['averageUtilization', `${side}AverageUtilization`],
    ['averageValue', average],
    ['value', `${side}Value`],
  ];
}

function flatten(metric: Metric | MetricStatus, side: Side): FlatMetric {
  const flat: FlatMetric = { type: metric.type };
  for (const source of sources) {
    const nested = (metric as unknown as Partial<Record<Source, Nested>>)[source];
    if (!nested) continue;
    const one: Flat = {};
    if (nested.name !== undefined) one.name = nested.name;
    if (nested.container !== undefined) one.container = nested.container;
    if (nested.describedObject !== undefined) one.target = nested.describedObject;
    if (nested.metric) {
      one.metricName = nested.metric.name;
      if (nested.metric.selector !== undefined)
        one[source === 'external' ? 'metricSelector' : 'selector'] = nested.metric.selector;
    }
    for (const [key, flatKey] of amountKeys(source, side))
      if (nested[side]?.[key] !== undefined) one[flatKey] = nested[side][key];
    // The API of old had no absent value there.
    if (source === 'object' && one[`${side}Value`] === undefined) one[`${side}Value`] = '0';
    flat[source] = one;
  }
  return flat;
}

function unflatten(flat: FlatMetric, side: Side): unknown {
  const metric: { type: string } & Partial<Record<Source, Nested>> = { type: flat.type };
  for (const source of sources) {
    const one = flat[source];
    if (!one) continue;
    const nested: Nested = {};
    if (one.name !== undefined) nested.name = one.name;
    if (one.container !== undefined) nested.container = one.container;
    if (one.target !== undefined) nested.describedObject = one.target;
    const selector = one.selector ?? one.metricSelector;
    if (one.metricName !== undefined)
      nested.metric = { name: one.metricName, ...(selector === undefined ? {} : { selector }) };
    const amounts: Amounts = {};
    for (const [key, flatKey] of amountKeys(source, side)) if (one[flatKey] !== undefined) amounts[key] = one[flatKey];
    if (source === 'object' && amounts.averageValue !== undefined) delete amounts.value;
    if (side === 'target') amounts.type = targetType(amounts);
    nested[side] = amounts;
    metric[source] = nested;
  }
  return metric;
}

function targetType(amounts: Amounts): string {
  if (amounts.averageUtilization !== undefined) return 'Utilization';
  return amounts.averageValue === undefined ? 'Value' : 'AverageValue';
}

/** The one metric that autoscaling/v1 has a field for. */
function isCpuUtilization(metric: Metric): boolean {
  return metric.resource?.name === 'cpu' && metric.resource.target?.averageUtilization !== undefined;
}

/** autoscaling/v1 says it always. */
const noReplicas = { currentReplicas: 0, desiredReplicas: 0 };
const defaultUtilization = 80;

function cpuMetric(averageUtilization: number): Metric {
  return { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization } } };
}

function withAnnotations<T extends HorizontalPodAutoscaler | HorizontalPodAutoscalerV1>(
  metadata: T['metadata'],
  added: Record<string, string>,
): T['metadata'] {
  const { annotations, ...rest } = metadata ?? {};
  const kept: Record<string, string> = { ...annotations };
  for (const key of Object.values(annotation)) delete kept[key];
  Object.assign(kept, added);
  return Object.keys(kept).length > 0 ? { ...rest, annotations: kept } : rest;
}

/** autoscaling/v2 as autoscaling/v1 shows it. */
export function autoscalerToV1(o: HorizontalPodAutoscaler): HorizontalPodAutoscalerV1 {
  const { metrics = [], behavior, ...spec } = o.spec ?? {};
  const { currentMetrics = [], conditions = [], ...status } = o.status ?? ({} as Status);
  const cpu = metrics.find(isCpuUtilization)?.resource?.target.averageUtilization;
  const others = metrics.filter(metric => !isCpuUtilization(metric));
  const currentCpu = currentMetrics.find(({ resource }) => resource?.name === 'cpu')?.resource?.current;
  const added: Record<string, string> = {};
  const add = (key: keyof typeof annotation, list: readonly unknown[]): void => {
    if (list.length > 0) added[annotation[key]] = JSON.stringify(list);
  };
  add(
    'metrics',
    others.map(metric => flatten(metric, 'target')),
  );
  add(
    'currentMetrics',
    currentMetrics.map(metric => flatten(metric, 'current')),
  );
  add('conditions', conditions);
  if (behavior) added[annotation.behavior] = JSON.stringify(behavior);
  const utilization = currentCpu?.averageUtilization;
  return {
    ...o,
    apiVersion: 'autoscaling/v1',
    metadata: withAnnotations(o.metadata, added),
    ...(o.spec ? { spec: { ...spec, ...(cpu === undefined ? {} : { targetCPUUtilizationPercentage: cpu }) } } : {}),
    ...(o.status
      ? {
          status: {
            ...noReplicas,
            ...status,
            ...(utilization === undefined ? {} : { currentCPUUtilizationPercentage: utilization }),
          },
        }
      : {}),
  } as HorizontalPodAutoscalerV1;
}

/** What a client has put into an annotation; undefined when it is not a list (or an object) in JSON. */
function parsed<T>(o: HorizontalPodAutoscalerV1, key: keyof typeof annotation): T | undefined {
  const text = o.metadata?.annotations?.[annotation[key]];
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    const isRight = key === 'behavior' ? typeof value === 'object' && value !== null : Array.isArray(value);
    return isRight ? (value as T) : undefined;
  } catch {
    return undefined;
  }
}

const objectsOf = (list: readonly unknown[] | undefined): FlatMetric[] =>
  (list ?? []).filter((item): item is FlatMetric => typeof item === 'object' && item !== null);

/** autoscaling/v1 as it is stored. Without any metric it aims at 80% of the CPU. */
export function autoscalerFromV1(o: HorizontalPodAutoscalerV1): HorizontalPodAutoscaler {
  const { targetCPUUtilizationPercentage: cpu, ...spec } = o.spec ?? {};
  const { currentCPUUtilizationPercentage: currentCpu, ...status } = o.status ?? {};
  const metrics = cpu === undefined ? [] : [cpuMetric(cpu)];
  for (const flat of objectsOf(parsed(o, 'metrics'))) metrics.push(unflatten(flat, 'target') as Metric);
  if (metrics.length === 0) metrics.push(cpuMetric(defaultUtilization));
  const behavior = parsed<object>(o, 'behavior');
  const current = parsed<unknown[]>(o, 'currentMetrics');
  const currentMetrics: unknown[] = current
    ? objectsOf(current).map(flat => unflatten(flat, 'current'))
    : currentCpu === undefined
      ? []
      : [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: currentCpu } } }];
  const conditions = parsed<unknown[]>(o, 'conditions');
  return {
    ...o,
    apiVersion: 'autoscaling/v2',
    metadata: withAnnotations(o.metadata, {}),
    ...(o.spec ? { spec: { ...spec, metrics, ...(behavior ? { behavior } : {}) } } : {}),
    ...(o.status
      ? {
          status: {
            ...status,
            ...(currentMetrics.length > 0 ? { currentMetrics } : {}),
            ...(conditions ? { conditions } : {}),
          },
        }
      : {}),
  } as HorizontalPodAutoscaler;
}
