import {
  customResourceDefinitions,
  horizontalPodAutoscalers,
  pods,
  type HorizontalPodAutoscaler,
  type Stored,
} from '@naru/api';
import { objectKey, parseKey, type ReconcileResult } from '@naru/client';
import { formatTime } from '@naru/foundation';
import { equalJson } from '../../framework/canonical';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { withKind } from '../../framework/owner';
import { applyBehavior, noteScaling, type History } from './behavior';
import { Conditions } from './conditions';
import { MetricError, MetricProposals, type MetricStatus } from './metric-proposal';
import { readScale, writeScale, type Scale } from './scale-target';

/** Upstream's --horizontal-pod-autoscaler-sync-period. */
const periodMs = 15_000;

interface Desire {
  replicas: number;
  reason: string;
  metrics: MetricStatus[];
}

class Autoscaling {
  private readonly proposals: MetricProposals;
  private readonly histories = new Map<string, History>();

  constructor(private readonly deps: ControllerDeps) {
    this.proposals = new MetricProposals(deps);
    deps.informers.get(horizontalPodAutoscalers).addHandler({
      onDelete: ({ metadata }) => void this.histories.delete(metadata.uid),
    });
  }

  async reconcile(key: string): Promise<ReconcileResult> {
    const { clock, informers } = this.deps;
    const autoscaler = informers.lister(horizontalPodAutoscalers).get(parseKey(key));
    if (!autoscaler || autoscaler.metadata.deletionTimestamp) return undefined;
    const conditions = new Conditions(autoscaler, clock.now());
    const scale = await readScale(autoscaler, this.deps).catch((error: unknown) => error as Error);
    if (scale instanceof Error) {
      const message = `the HPA controller was unable to get the target's current scale: ${scale.message}`;
      conditions.set('AbleToScale', 'False', 'FailedGetScale', message);
      this.tell(autoscaler, 'Warning', 'FailedGetScale', scale.message);
      await this.write(autoscaler, conditions, {});
      return { requeueAfterMs: periodMs };
    }
    conditions.set(
      'AbleToScale',
      'True',
      'SucceededGetScale',
      "the HPA controller was able to get the target's current scale",
    );
    await this.adjust(autoscaler, scale, conditions);
    return { requeueAfterMs: periodMs };
  }

  private async adjust(
    autoscaler: Stored<HorizontalPodAutoscaler>,
    scale: Scale,
    conditions: Conditions,
  ): Promise<void> {
    const current = scale.specReplicas;
    const { minReplicas = 1, maxReplicas } = autoscaler.spec;
    const status = { currentReplicas: scale.statusReplicas };
    if (current === 0 && minReplicas !== 0) {
      const message = 'scaling is disabled since the replica count of the target is zero';
      conditions.set('ScalingActive', 'False', 'ScalingDisabled', message);
      return this.write(autoscaler, conditions, { ...status, desiredReplicas: 0 });
    }
    let desire: Desire;
    if (current > maxReplicas)
      desire = { replicas: maxReplicas, reason: 'Current number of replicas above Spec.MaxReplicas', metrics: [] };
    else if (current < minReplicas)
      desire = { replicas: minReplicas, reason: 'Current number of replicas below Spec.MinReplicas', metrics: [] };
    else {
      const found = await this.byMetrics(autoscaler, scale, conditions);
      if (!found) return this.write(autoscaler, conditions, { ...status, desiredReplicas: current });
      desire = found;
    }
    if (desire.replicas !== current && !(await this.rescale(autoscaler, scale, desire, conditions)))
      return this.write(autoscaler, conditions, {
        ...status,
        desiredReplicas: current,
        currentMetrics: desire.metrics,
      });
    await this.write(autoscaler, conditions, {
      ...status,
      desiredReplicas: desire.replicas,
      ...(desire.metrics.length > 0 ? { currentMetrics: desire.metrics } : {}),
      ...(desire.replicas === current ? {} : { lastScaleTime: formatTime(this.deps.clock.now()) }),
    });
  }

  /** The highest of what the metrics propose. Undefined: they say nothing that may be acted on. */
  private async byMetrics(
    autoscaler: Stored<HorizontalPodAutoscaler>,
    scale: Scale,
    conditions: Conditions,
  ): Promise<Desire | undefined> {
    const current = scale.specReplicas;
    const specs = autoscaler.spec.metrics ?? [];
    const metrics: MetricStatus[] = [];
    let best: { replicas: number; metric: string } | undefined;
    let failure: MetricError | undefined;
    for (const spec of specs) {
      try {
        const { replicas, status, metric } = await this.proposals.propose(autoscaler, spec, scale);
        metrics.push(status);
        if (!best || replicas > best.replicas) best = { replicas, metric };
      } catch (error) {
        if (!(error instanceof MetricError)) throw error;
        failure ??= error;
        this.tell(autoscaler, 'Warning', error.reason, error.message);
      }
    }
    // One that is silent might have asked for more: on the others' word alone nothing is taken away.
    if (!best || (failure && best.replicas < current)) {
      const { reason = 'InvalidMetric', message = 'no metrics are specified' } = failure ?? {};
      const why = `the HPA was unable to compute the replica count: ${message}`;
      conditions.set('ScalingActive', 'False', reason, why);
      const summary = `invalid metrics (${specs.length - metrics.length} invalid out of ${specs.length}), first error is: ${message}`;
      this.tell(autoscaler, 'Warning', 'FailedComputeMetricsReplicas', summary);
      return undefined;
    }
    const found = `the HPA was able to successfully calculate a replica count from ${best.metric}`;
    conditions.set('ScalingActive', 'True', 'ValidMetricFound', found);
    const now = this.deps.clock.now();
    const { replicas, ableToScale, limited } = applyBehavior(
      autoscaler,
      this.historyOf(autoscaler),
      current,
      best.replicas,
      now,
    );
    conditions.set('AbleToScale', 'True', ableToScale.reason, ableToScale.message);
    conditions.set('ScalingLimited', limited.status, limited.reason, limited.message);
    const reason = best.replicas > current ? `${best.metric} above target` : 'All metrics below target';
    return { replicas, reason, metrics };
  }

  private async rescale(
    autoscaler: Stored<HorizontalPodAutoscaler>,
    scale: Scale,
    { replicas, reason }: Desire,
    conditions: Conditions,
  ): Promise<boolean> {
    try {
      await writeScale(autoscaler.metadata.namespace, scale, replicas, this.deps);
    } catch (error) {
      const { message } = error as Error;
      conditions.set(
        'AbleToScale',
        'False',
        'FailedUpdateScale',
        `the HPA controller was unable to update the target scale: ${message}`,
      );
      const what = `New size: ${replicas}; reason: ${reason}; error: ${message}`;
      this.tell(autoscaler, 'Warning', 'FailedRescale', what);
      return false;
    }
    const message = `the HPA controller was able to update the target scale to ${replicas}`;
    conditions.set('AbleToScale', 'True', 'SucceededRescale', message);
    this.tell(autoscaler, 'Normal', 'SuccessfulRescale', `New size: ${replicas}; reason: ${reason}`);
    noteScaling(this.historyOf(autoscaler), scale.specReplicas, replicas, this.deps.clock.now());
    return true;
  }

  private historyOf({ metadata }: Stored<HorizontalPodAutoscaler>): History {
    const known = this.histories.get(metadata.uid);
    const history = known ?? { recommendations: [], up: [], down: [] };
    this.histories.set(metadata.uid, history);
    return history;
  }

  private async write(
    autoscaler: Stored<HorizontalPodAutoscaler>,
    conditions: Conditions,
    change: Partial<NonNullable<HorizontalPodAutoscaler['status']>>,
  ): Promise<void> {
    const { generation } = autoscaler.metadata;
    const status = {
      desiredReplicas: 0,
      ...autoscaler.status,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      ...change,
      conditions: conditions.list,
    };
    if (equalJson(status, autoscaler.status)) return;
    await this.deps.client.update(horizontalPodAutoscalers, { ...autoscaler, status }, { subresource: 'status' });
  }

  private tell(
    about: Stored<HorizontalPodAutoscaler>,
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): void {
    this.deps.recorder.record(withKind(horizontalPodAutoscalers, about), { type, reason, message });
  }
}

/** Keeps the number of replicas of a workload such that its metrics stay at their targets. */
export const horizontalPodAutoscalerController: Controller = {
  name: 'horizontal-pod-autoscaler-controller',
  eventSource: 'horizontal-pod-autoscaler',
  watches: ({ informers }) => {
    // Only read: what they say is looked at once in a period.
    informers.get(pods);
    informers.get(customResourceDefinitions);
    return [
      watch(horizontalPodAutoscalers, autoscaler => [objectKey(autoscaler)], {
        relevant: (autoscaler, old) => !equalJson(autoscaler.spec, old.spec),
      }),
    ];
  },
  build(deps) {
    const autoscaling = new Autoscaling(deps);
    return { reconcile: key => autoscaling.reconcile(key) };
  },
};
