import { parseNano, quantityMilliValue } from '@naru/api';
import type { ControllerDeps } from '../../framework/controller';

/** One pod's share of a metric, in thousandths. */
export interface PodMetric {
  value: number;
  /** When it was measured, and over how long a time before. */
  timestampMs: number;
  windowMs: number;
}

interface Measured {
  timestamp?: string | undefined;
  window?: string | undefined;
}

interface PodMetricsList {
  items?: (Measured & {
    metadata: { name: string };
    containers: { name: string; usage: Record<string, string> }[];
  })[];
}

interface MetricValueList {
  items?: { describedObject?: { name?: string }; timestamp?: string; windowSeconds?: number; value: string }[];
}

export interface MetricIdentifier {
  name: string;
  selector?: string;
}

const custom = '/apis/custom.metrics.k8s.io/v1beta1';
const defaultWindowMs = 60_000;

/** Reads the three metrics APIs, which extension servers serve, so by REST. Throws what they answer. */
export class MetricsReader {
  constructor(private readonly deps: Pick<ControllerDeps, 'readPath'>) {}

  /** metrics.k8s.io: of each pod the sum over its containers, or that of one container. */
  async resource(namespace: string, selector: string, resource: string, container?: string) {
    const path = `/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods${query('labelSelector', selector)}`;
    const { items = [] } = await this.deps.readPath<PodMetricsList>(path);
    const metrics = new Map<string, PodMetric>();
    for (const { metadata, containers, timestamp, window } of items) {
      const wanted = container === undefined ? containers : containers.filter(({ name }) => name === container);
      const amounts = wanted.map(({ usage }) => usage[resource]);
      // A pod of which a container has not been measured yet counts as not measured.
      if (amounts.length === 0 || amounts.includes(undefined)) continue;
      const value = amounts.reduce((sum, amount) => sum + milli(amount ?? '0'), 0);
      metrics.set(metadata.name, { value, ...measuredAt({ timestamp, window }) });
    }
    if (metrics.size === 0) throw new Error(`no metrics returned from resource metrics API`);
    return metrics;
  }

  /** custom.metrics.k8s.io about each pod. */
  async pods(namespace: string, selector: string, metric: MetricIdentifier): Promise<Map<string, PodMetric>> {
    const parameters = query('labelSelector', selector) + query('metricLabelSelector', metric.selector, '&');
    const path = `${custom}/namespaces/${namespace}/pods/*/${encodeURIComponent(metric.name)}${parameters}`;
    const { items = [] } = await this.deps.readPath<MetricValueList>(path);
    const metrics = new Map<string, PodMetric>();
    for (const { describedObject, timestamp, windowSeconds, value } of items) {
      const windowMs = windowSeconds === undefined ? defaultWindowMs : windowSeconds * 1000;
      metrics.set(describedObject?.name ?? '', {
        value: milli(value),
        timestampMs: Date.parse(timestamp ?? ''),
        windowMs,
      });
    }
    if (metrics.size === 0) throw new Error('no metrics returned from custom metrics API');
    return metrics;
  }

  /** custom.metrics.k8s.io about one object; `resource` is "services" or "ingresses.networking.k8s.io". */
  async object(namespace: string, resource: string, name: string, metric: MetricIdentifier): Promise<number> {
    const scope =
      resource === 'namespaces' ? `/namespaces/${name}/metrics` : `/namespaces/${namespace}/${resource}/${name}`;
    const path = `${custom}${scope}/${encodeURIComponent(metric.name)}${query('metricLabelSelector', metric.selector)}`;
    const { items = [] } = await this.deps.readPath<MetricValueList>(path);
    const [first] = items;
    if (!first) throw new Error('no metrics returned from custom metrics API');
    return milli(first.value);
  }

  /** external.metrics.k8s.io: the sum of all series. */
  async external(namespace: string, { name, selector }: MetricIdentifier): Promise<number> {
    const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/${encodeURIComponent(name)}${query('labelSelector', selector)}`;
    const { items = [] } = await this.deps.readPath<MetricValueList>(path);
    if (items.length === 0) throw new Error('no metrics returned from external metrics API');
    return items.reduce((sum, { value }) => sum + milli(value), 0);
  }
}

/** Above what a number of thousandths holds exactly nothing is measured. */
function milli(amount: string): number {
  return quantityMilliValue(amount);
}

function query(name: string, value: string | undefined, lead = '?'): string {
  return value ? `${lead}${name}=${encodeURIComponent(value)}` : '';
}

/** "15.2s" or "1m0s", as Go writes durations. */
function measuredAt({ timestamp, window }: Measured): Pick<PodMetric, 'timestampMs' | 'windowMs'> {
  const units: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
  let windowMs = 0;
  for (const [, amount = '0', unit = 's'] of (window ?? '').matchAll(/([\d.]+)(ms|h|m|s)/g))
    windowMs += Number(amount) * (units[unit] ?? 0);
  return { timestampMs: Date.parse(timestamp ?? ''), windowMs: windowMs || defaultWindowMs };
}

/** "1500m" or "2", exactly. */
export function formatMilli(value: number): string {
  const nano = parseNano(`${Math.round(value)}m`);
  return nano % 1_000_000_000n === 0n ? String(nano / 1_000_000_000n) : `${Math.round(value)}m`;
}
