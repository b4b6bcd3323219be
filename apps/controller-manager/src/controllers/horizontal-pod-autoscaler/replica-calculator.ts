import type { Pod, Stored } from '@naru/api';
import { podCondition } from '../../pods/pod-state';
import type { PodMetric } from './metrics-reader';

/** Upstream's defaults. */
const cpuInitializationMs = 5 * 60_000;
const initialReadinessDelayMs = 30_000;
export const tolerance = 0.1;

export interface Tolerances {
  up: number;
  down: number;
}

export interface PodGroups {
  ready: number;
  unready: string[];
  missing: string[];
  ignored: string[];
}

/** Which pods tell the truth about the load. Source: horizontal.groupPods. */
export function groupPods(
  pods: readonly Stored<Pod>[],
  metrics: ReadonlyMap<string, PodMetric>,
  isCpu: boolean,
  now: number,
): PodGroups {
  const groups: PodGroups = { ready: 0, unready: [], missing: [], ignored: [] };
  for (const pod of pods) {
    const { name, deletionTimestamp } = pod.metadata;
    const metric = metrics.get(name);
    if (deletionTimestamp || pod.status?.phase === 'Failed') groups.ignored.push(name);
    else if (pod.status?.phase === 'Pending') groups.unready.push(name);
    else if (!metric) groups.missing.push(name);
    else if (isCpu && isStarting(pod, metric, now)) groups.unready.push(name);
    else groups.ready++;
  }
  return groups;
}

/** A pod that starts burns cpu which says nothing about its load. */
function isStarting(pod: Pod, metric: PodMetric, now: number): boolean {
  const ready = podCondition(pod, 'Ready');
  const startedAt = Date.parse(pod.status?.startTime ?? '');
  if (!ready || Number.isNaN(startedAt)) return true;
  const changedAt = Date.parse(ready.lastTransitionTime ?? '');
  if (startedAt + cpuInitializationMs > now)
    return ready.status === 'False' || metric.timestampMs < changedAt + metric.windowMs;
  return ready.status === 'False' && startedAt + initialReadinessDelayMs > changedAt;
}

export interface PerPodInput {
  pods: readonly Stored<Pod>[];
  metrics: ReadonlyMap<string, PodMetric>;
  current: number;
  isCpu: boolean;
  now: number;
  tolerances: Tolerances;
  /** What the metrics of these pods come to, in relation to the target; 1 is just right. */
  ratioOf(metrics: ReadonlyMap<string, PodMetric>): number;
  /** What a pod that was not measured is taken to use when the others say to scale down: no less than the target. */
  assumed(pod: string): number;
}

/** How many replicas bring the pods to the target. Pods that cannot be judged only ever dampen the change. */
export function replicasPerPod(input: PerPodInput): number {
  const { pods, metrics, current, isCpu, now, tolerances, ratioOf, assumed } = input;
  const { ready, unready, missing, ignored } = groupPods(pods, metrics, isCpu, now);
  const judged = new Map([...metrics].filter(([name]) => !unready.includes(name) && !ignored.includes(name)));
  const known = new Set(pods.map(({ metadata }) => metadata.name));
  for (const name of judged.keys()) if (!known.has(name)) judged.delete(name);
  if (judged.size === 0) throw new Error('did not receive metrics for targeted pods (pods might be unready)');
  const ratio = ratioOf(judged);
  const withUnready = unready.length > 0 && ratio > 1;
  if (!withUnready && missing.length === 0)
    return isWithin(ratio, tolerances) ? current : Math.ceil(round(ratio * ready));
  const zero = { value: 0, timestampMs: now, windowMs: 0 };
  for (const name of missing) judged.set(name, ratio < 1 ? { ...zero, value: assumed(name) } : zero);
  if (withUnready) for (const name of unready) judged.set(name, zero);
  const damped = ratioOf(judged);
  if (isWithin(damped, tolerances) || (ratio < 1 && damped > 1) || (ratio > 1 && damped < 1)) return current;
  const replicas = Math.ceil(round(damped * judged.size));
  if ((damped < 1 && replicas > current) || (damped > 1 && replicas < current)) return current;
  return replicas;
}

/** For metrics that are about something else than single pods. */
export function replicasByRatio(ratio: number, current: number, ready: number, tolerances: Tolerances): number {
  return isWithin(ratio, tolerances) ? current : Math.ceil(round(ratio * ready));
}

export function isWithin(ratio: number, { up, down }: Tolerances): boolean {
  return round(ratio) <= round(1 + up) && round(ratio) >= round(1 - down);
}

/** Binary fractions must not make one replica more. */
function round(value: number): number {
  return Math.round(value * 1e9) / 1e9;
}
