import { formatTime } from '@naru/foundation';
import type { ContainerStatus, Pod, PodStatus } from '@naru/api';
import { isSidecar } from '../pods/restart-rule';
import type { ResizeState } from '../pods/pod-resizer';
import type { PodPhase } from './pod-phase';

export type PodCondition = NonNullable<PodStatus['conditions']>[number];

interface Verdict {
  status: 'True' | 'False';
  reason?: string;
  message?: string;
}

const yes: Verdict = { status: 'True' };

function initialized(pod: Pod, init: readonly ContainerStatus[], phase: PodPhase): Verdict {
  if (phase === 'Succeeded') return { status: 'True', reason: 'PodCompleted' };
  const incomplete = (pod.spec?.initContainers ?? [])
    .filter(container => {
      const status = init.find(({ name }) => name === container.name);
      return isSidecar(container) ? !status?.started : !status?.ready;
    })
    .map(({ name }) => name);
  if (incomplete.length === 0 || phase === 'Running') return yes;
  const message = `containers with incomplete status: [${incomplete.join(' ')}]`;
  return { status: 'False', reason: 'ContainersNotInitialized', message };
}

function containersReady(pod: Pod, statuses: readonly ContainerStatus[], phase: PodPhase): Verdict {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' };
  const wanted = [...(pod.spec?.initContainers ?? []).filter(isSidecar), ...(pod.spec?.containers ?? [])];
  const unknown = wanted.filter(({ name }) => !statuses.some(status => status.name === name));
  const unready = wanted.filter(({ name }) => statuses.some(status => status.name === name && !status.ready));
  if (unknown.length === 0 && unready.length === 0) return yes;
  const list = (containers: readonly { name: string }[]): string => containers.map(({ name }) => name).join(' ');
  const parts = [
    ...(unknown.length > 0 ? [`containers with unknown status: [${list(unknown)}]`] : []),
    ...(unready.length > 0 ? [`containers with unready status: [${list(unready)}]`] : []),
  ];
  return { status: 'False', reason: 'ContainersNotReady', message: parts.join(', ') };
}

function ready(pod: Pod, containers: Verdict, conditions: readonly PodCondition[]): Verdict {
  if (containers.status === 'False') return containers;
  const gates = (pod.spec?.readinessGates ?? [])
    .filter(({ conditionType }) => conditions.find(({ type }) => type === conditionType)?.status !== 'True')
    .map(({ conditionType }) => {
      const held = conditions.some(({ type }) => type === conditionType);
      return held
        ? `the status of pod readiness gate "${conditionType}" is not "True", but False`
        : `corresponding condition of pod readiness gate "${conditionType}" does not exist.`;
    });
  if (gates.length === 0) return yes;
  return { status: 'False', reason: 'ReadinessGatesNotReady', message: gates.join(', ') };
}

export interface PodConditionsInput {
  pod: Pod;
  init: readonly ContainerStatus[];
  main: readonly ContainerStatus[];
  phase: PodPhase;
  /** The sandbox is up and has an address. */
  sandboxReady: boolean;
  nowMs: number;
  /** Why the kubelet ends the pod to make room; undefined when it does not. */
  disruption: string | undefined;
  resize?: ResizeState | undefined;
  /** All containers end, to be started anew; undefined for pods that never ask for that. */
  restartingAll?: boolean | undefined;
}

/** Conditions that are there only while they hold. */
function resizing({ pending, inProgress }: ResizeState): [string, Verdict][] {
  const found: [string, Verdict][] = [];
  if (pending) found.push(['PodResizePending', { status: 'True', ...pending }]);
  const error = inProgress?.error;
  if (inProgress) {
    found.push(['PodResizeInProgress', { status: 'True', ...(error ? { reason: 'Error', message: error } : {}) }]);
  }
  return found;
}

/** Of pods that may ask for all their containers to be restarted. Source: pkg/kubelet/status/generate.go. */
function restarting(yes: boolean, phase: PodPhase): Verdict {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' };
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' };
  if (!yes) return { status: 'False' };
  const message = 'container exited with restart policy rule';
  return { status: 'True', reason: 'RestartAllContainersStarted', message };
}

/** The kubelet's conditions, and those of others as they are. Times of transition are kept where nothing changed. */
export function podConditions(input: PodConditionsInput): PodCondition[] {
  const { pod, init, main, phase, nowMs } = input;
  const old = pod.status?.conditions ?? [];
  const all = containersReady(pod, [...init, ...main], phase);
  const own: [string, Verdict][] = [
    ['PodReadyToStartContainers', { status: input.sandboxReady ? 'True' : 'False' }],
    ['Initialized', initialized(pod, init, phase)],
    ['Ready', ready(pod, all, old)],
    ['ContainersReady', all],
    // A pod that has a node is scheduled, whoever wrote its nodeName.
    ['PodScheduled', yes],
  ];
  if (input.disruption !== undefined) {
    own.push(['DisruptionTarget', { status: 'True', reason: 'TerminationByKubelet', message: input.disruption }]);
  }
  if (input.restartingAll !== undefined) own.push(['AllContainersRestarting', restarting(input.restartingAll, phase)]);
  own.push(...resizing(input.resize ?? {}));
  const ownTypes = new Set([...own.map(([type]) => type), 'PodResizePending', 'PodResizeInProgress']);
  const generation = pod.metadata?.generation;
  const conditions = own.map(([type, verdict]) => {
    const before = old.find(condition => condition.type === type);
    const lastTransitionTime = before?.status === verdict.status ? before.lastTransitionTime : formatTime(nowMs);
    return {
      type,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
      status: verdict.status,
      lastProbeTime: null as unknown as string,
      lastTransitionTime: lastTransitionTime ?? formatTime(nowMs),
      ...(verdict.reason ? { reason: verdict.reason } : {}),
      ...(verdict.message ? { message: verdict.message } : {}),
    };
  });
  return [...conditions, ...old.filter(({ type }) => !ownTypes.has(type))];
}
