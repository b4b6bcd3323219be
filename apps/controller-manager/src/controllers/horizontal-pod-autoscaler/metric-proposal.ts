import {
  parseLabelSelector,
  labelSelectorOf,
  pods,
  quantityMilliValue,
  type HorizontalPodAutoscaler,
  type Pod,
  type Stored,
} from '@naru/api';
import { parseNamespacedResource } from './object-resource';
import type { ControllerDeps } from '../../framework/controller';
import { isPodReady } from '../../pods/pod-state';
import { formatMilli, MetricsReader, type MetricIdentifier, type PodMetric } from './metrics-reader';
import { replicasByRatio, replicasPerPod, tolerance, type Tolerances } from './replica-calculator';
import { rulesOf } from './behavior';
import type { Scale } from './scale-target';

type MetricSpec = NonNullable<HorizontalPodAutoscaler['spec']['metrics']>[number];
export type MetricStatus = NonNullable<NonNullable<HorizontalPodAutoscaler['status']>['currentMetrics']>[number];

export interface Proposal {
  replicas: number;
  status: MetricStatus;
  /** "cpu resource utilization (percentage of request)" */
  metric: string;
}

/** Why a metric says nothing; `reason` is that of the condition ScalingActive. */
export class MetricError extends Error {
  constructor(
    readonly reason: string,
    message: string,
    cause: unknown,
  ) {
    super(message, { cause });
  }
}

/** How many replicas each metric of an autoscaler asks for. Source: horizontal.computeReplicasForMetric. */
export class MetricProposals {
  private readonly reader: MetricsReader;

  constructor(private readonly deps: ControllerDeps) {
    this.reader = new MetricsReader(deps);
  }

  async propose(autoscaler: Stored<HorizontalPodAutoscaler>, spec: MetricSpec, scale: Scale): Promise<Proposal> {
    const around = new Proposing(autoscaler, scale, this.deps);
    const attempt = async (reason: string, what: string, work: () => Promise<Proposal>): Promise<Proposal> =>
      work().catch((cause: unknown) => {
        throw new MetricError(reason, `failed to get ${what}: ${(cause as Error).message}`, cause);
      });
    const { resource, containerResource, pods: perPod, object, external } = spec;
    if (resource)
      return attempt('FailedGetResourceMetric', `${resource.name} resource metric value`, () =>
        this.byResource(around, spec, resource),
      );
    if (containerResource)
      return attempt('FailedGetContainerResourceMetric', `${containerResource.name} container metric value`, () =>
        this.byResource(around, spec, containerResource, containerResource.container),
      );
    if (perPod) return attempt('FailedGetPodsMetric', 'pods metric value', () => this.byPods(around, perPod));
    if (object) return attempt('FailedGetObjectMetric', 'object metric value', () => this.byObject(around, object));
    if (external)
      return attempt('FailedGetExternalMetric', 'external metric value', () => this.byExternal(around, external));
    throw new MetricError('InvalidMetricSourceType', `unknown metric source type "${spec.type}"`, undefined);
  }

  private async byResource(
    around: Proposing,
    spec: MetricSpec,
    { name, target }: NonNullable<MetricSpec['resource']>,
    container?: string,
  ): Promise<Proposal> {
    const metrics = await this.reader.resource(around.namespace, around.scale.selector, name, container);
    const requestOf = (pod: Stored<Pod>): number => requested(pod, name, container);
    const { averageUtilization, averageValue } = target;
    const isCpu = name === 'cpu';
    const statusOf = (current: MetricCurrent): MetricStatus =>
      container === undefined
        ? { type: 'Resource', resource: { name, current } }
        : { type: spec.type, containerResource: { name, container, current } };
    const whose = container === undefined ? 'resource' : 'container resource';
    if (averageUtilization === undefined) {
      const wanted = quantityMilliValue(averageValue ?? '0');
      const { replicas, average } = around.perPod(metrics, wanted, isCpu);
      return { replicas, status: statusOf({ averageValue: formatMilli(average) }), metric: `${name} ${whose}` };
    }
    const requests = new Map(around.pods.map(pod => [pod.metadata.name, requestOf(pod)]));
    const utilization = (judged: ReadonlyMap<string, PodMetric>): number => {
      const sum = total([...judged.values()].map(({ value }) => value));
      const asked = total([...judged.keys()].map(pod => requests.get(pod) ?? 0));
      if (asked === 0) throw new Error('no metrics returned matched known pods');
      return Math.trunc((sum * 100) / asked);
    };
    const replicas = replicasPerPod({
      ...around.input(metrics, isCpu),
      ratioOf: judged => utilization(judged) / averageUtilization,
      assumed: pod => ((requests.get(pod) ?? 0) * Math.max(100, averageUtilization)) / 100,
    });
    const known = new Map([...metrics].filter(([pod]) => requests.has(pod)));
    const current = {
      averageUtilization: utilization(known),
      averageValue: formatMilli(total([...known.values()].map(({ value }) => value)) / known.size),
    };
    return { replicas, status: statusOf(current), metric: `${name} ${whose} utilization (percentage of request)` };
  }

  private async byPods(around: Proposing, { metric, target }: NonNullable<MetricSpec['pods']>): Promise<Proposal> {
    const metrics = await this.reader.pods(around.namespace, around.scale.selector, identify(metric));
    const { replicas, average } = around.perPod(metrics, quantityMilliValue(target.averageValue ?? '0'), false);
    const status = { type: 'Pods', pods: { metric, current: { averageValue: formatMilli(average) } } };
    return { replicas, status, metric: `pods metric ${metric.name}` };
  }

  private async byObject(around: Proposing, source: NonNullable<MetricSpec['object']>): Promise<Proposal> {
    const { metric, target, describedObject } = source;
    const resource = parseNamespacedResource(describedObject);
    const value = await this.reader.object(around.namespace, resource, describedObject.name, identify(metric));
    const { replicas, current } = around.byAmount(value, target);
    const status = { type: 'Object', object: { metric, describedObject, current } };
    return { replicas, status, metric: `${describedObject.kind} metric ${metric.name}` };
  }

  private async byExternal(
    around: Proposing,
    { metric, target }: NonNullable<MetricSpec['external']>,
  ): Promise<Proposal> {
    const value = await this.reader.external(around.namespace, identify(metric));
    const { replicas, current } = around.byAmount(value, target);
    return {
      replicas,
      status: { type: 'External', external: { metric, current } },
      metric: `external metric ${metric.name}`,
    };
  }
}

type MetricCurrent = NonNullable<MetricStatus['resource']>['current'];

/** What all metrics of one look at an autoscaler share. */
class Proposing {
  readonly pods: readonly Stored<Pod>[];
  readonly namespace: string;
  private readonly now: number;
  private readonly tolerances: Tolerances;

  constructor(
    autoscaler: Stored<HorizontalPodAutoscaler>,
    readonly scale: Scale,
    { informers, clock }: ControllerDeps,
  ) {
    const { namespace = '' } = autoscaler.metadata;
    const selector = parseLabelSelector(scale.selector);
    this.namespace = namespace;
    this.pods = informers
      .lister(pods)
      .list(namespace)
      .filter(({ metadata }) => selector.matches(metadata.labels ?? {}));
    this.now = clock.now();
    const of = (direction: 'up' | 'down'): number => {
      const own = rulesOf(autoscaler, direction).tolerance;
      return own === undefined ? tolerance : quantityMilliValue(own) / 1000;
    };
    this.tolerances = { up: of('up'), down: of('down') };
  }

  input(metrics: ReadonlyMap<string, PodMetric>, isCpu: boolean) {
    const { pods: all, now, tolerances } = this;
    return { pods: all, metrics, current: this.scale.specReplicas, isCpu, now, tolerances };
  }

  /** Against an average value. */
  perPod(metrics: ReadonlyMap<string, PodMetric>, wanted: number, isCpu: boolean) {
    const average = (judged: ReadonlyMap<string, PodMetric>): number =>
      total([...judged.values()].map(({ value }) => value)) / judged.size;
    const ratioOf = (judged: ReadonlyMap<string, PodMetric>): number => average(judged) / wanted;
    const replicas = replicasPerPod({ ...this.input(metrics, isCpu), ratioOf, assumed: () => wanted });
    return { replicas, average: average(metrics) };
  }

  /** Of something that is not per pod: against a value for all, or its share for each replica. */
  byAmount(value: number, target: { value?: string | undefined; averageValue?: string | undefined }) {
    const { specReplicas, statusReplicas } = this.scale;
    if (target.averageValue !== undefined) {
      const wanted = quantityMilliValue(target.averageValue);
      const ratio = value / (wanted * (statusReplicas || 1));
      const replicas = statusReplicas === 0 ? Math.ceil(value / wanted) : this.byShare(ratio, value / wanted);
      return { replicas, current: { averageValue: formatMilli(value / (statusReplicas || 1)) } };
    }
    const ratio = value / quantityMilliValue(target.value ?? '0');
    const ready = this.pods.filter(pod => pod.status?.phase === 'Running' && isPodReady(pod)).length;
    const replicas =
      specReplicas === 0 ? Math.ceil(ratio) : replicasByRatio(ratio, specReplicas, ready, this.tolerances);
    return { replicas, current: { value: formatMilli(value) } };
  }

  private byShare(ratio: number, exact: number): number {
    const { specReplicas, statusReplicas } = this.scale;
    const wanted = replicasByRatio(ratio, specReplicas, statusReplicas, this.tolerances);
    return wanted === specReplicas ? wanted : Math.ceil(Math.round(exact * 1e9) / 1e9);
  }
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function identify({ name, selector }: NonNullable<MetricSpec['pods']>['metric']): MetricIdentifier {
  return { name, ...(selector ? { selector: labelSelectorOf(selector).toString() } : {}) };
}

/** In thousandths. Without a request there is nothing that the use could be a percentage of. */
function requested(pod: Stored<Pod>, resource: string, container: string | undefined): number {
  const sidecars = (pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const all = [...(pod.spec?.containers ?? []), ...sidecars];
  const wanted = container === undefined ? all : all.filter(({ name }) => name === container);
  if (container !== undefined && wanted.length === 0)
    throw new Error(
      `container ${container} not present in metrics for pod ${pod.metadata.namespace}/${pod.metadata.name}`,
    );
  return total(
    wanted.map(({ name, resources }) => {
      const request = resources?.requests?.[resource];
      if (request === undefined)
        throw new Error(`missing request for ${resource} in container ${name} of Pod ${pod.metadata.name}`);
      return quantityMilliValue(request);
    }),
  );
}
