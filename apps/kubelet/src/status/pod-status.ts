import { formatTime } from '@naru/foundation';
import { qosClassOf, type Container, type Pod, type PodStatus } from '@naru/api';
import type { ResizeState } from '../pods/pod-resizer';
import { newestContainer, type PodRuntime } from '../pods/runtime-state';
import { containerStatuses, type ContainerStatusInput } from './container-status';
import { podConditions } from './pod-conditions';
import { podPhase, type PodPhase } from './pod-phase';
import { canRestartAll, restartRound, type RestartRound } from '../pods/restart-round';

export interface PodStatusInput extends ContainerStatusInput {
  hostIps: readonly string[];
  nowMs: number;
  /** Nothing will ever run again in this pod. */
  finished: boolean;
  /** The kubelet's own verdict over the whole pod (DeadlineExceeded, Evicted, OutOfcpu): the phase is Failed. */
  failure?: PodFailure | undefined;
  resize?: ResizeState | undefined;
}

export interface PodFailure {
  reason: string;
  message: string;
  /** The pod made room for others: condition DisruptionTarget. */
  disruption?: boolean;
}

/** The whole status of a pod from its spec, its old status and what the runtime holds: a pure function. */
export function podStatus(given: PodStatusInput): PodStatus {
  const { pod, runtime, hostIps, nowMs, failure } = given;
  const old = pod.status ?? {};
  const isOver = given.terminating || given.finished || failure !== undefined;
  const round = isOver ? { number: 0, ending: [] } : restartRound(pod, runtime);
  const input = { ...given, round: round.number };
  const init = containerStatuses(pod.spec?.initContainers ?? [], 'init', input);
  const main = containerStatuses(pod.spec?.containers ?? [], 'main', input);
  const ephemeral = containerStatuses((pod.spec?.ephemeralContainers ?? []) as Container[], 'ephemeral', input);
  // A terminal phase is final: what a terminated pod's containers look like later does not change it.
  const terminal = old.phase === 'Succeeded' || old.phase === 'Failed';
  const phase: PodPhase = terminal
    ? (old.phase as PodPhase)
    : failure
      ? 'Failed'
      : beginsAgain(pod, runtime, round)
        ? 'Pending'
        : podPhase(pod, init, main, input.finished);
  const [sandbox] = runtime.sandboxes;
  const hostNetwork = pod.spec?.hostNetwork ?? false;
  const sandboxIps = hostNetwork ? (sandbox ? hostIps : []) : (sandbox?.ips ?? []);
  // Addresses are kept after the sandbox has gone, as long as no other replaces them.
  const podIps = sandboxIps.length > 0 ? sandboxIps : (old.podIPs ?? []).map(({ ip }) => ip);
  // Of containers that this node never began there is nothing to say: the reason of the pod is what people are to see.
  const wasRefused =
    phase === 'Failed' && runtime.containers.length === 0 && runtime.sandboxes.length === 0 && !old.containerStatuses;
  const generation = pod.metadata?.generation;
  return {
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    phase,
    conditions: podConditions({
      pod,
      init,
      main,
      phase,
      sandboxReady: (sandbox?.ready ?? false) && sandboxIps.length > 0,
      nowMs,
      resize: input.resize,
      restartingAll: canRestartAll(pod) ? round.ending.length > 0 : undefined,
      disruption: failure?.disruption ? failure.message : undefined,
    }),
    ...reasonOf(input, old, terminal),
    ...(hostIps[0] ? { hostIP: hostIps[0], hostIPs: hostIps.map(ip => ({ ip })) } : {}),
    ...(podIps[0] ? { podIP: podIps[0], podIPs: podIps.map(ip => ({ ip })) } : {}),
    startTime: old.startTime ?? formatTime(nowMs),
    ...(init.length > 0 && !wasRefused ? { initContainerStatuses: init } : {}),
    ...(wasRefused ? {} : { containerStatuses: main }),
    ...(ephemeral.length > 0 ? { ephemeralContainerStatuses: ephemeral } : {}),
    qosClass: old.qosClass ?? qosClassOf(pod),
    ...(wasRefused ? {} : resourcesOf(input, old)),
  };
}

/** All containers are restarted, and no main container has been yet. */
function beginsAgain({ spec }: Pod, runtime: PodRuntime, { number }: RestartRound): boolean {
  if (number === 0) return false;
  return !spec?.containers.some(({ name }) => newestContainer(runtime, name)?.round === number);
}

/** Of a pod that asks for something as a whole: what it was given, and what is in effect, which lags behind during a resize. */
function resourcesOf({ pod, resize }: PodStatusInput, old: PodStatus): Partial<PodStatus> {
  const { requests, limits } = pod.spec?.resources ?? {};
  if (!requests && !limits) return {};
  const own = { ...(limits ? { limits } : {}), ...(requests ? { requests } : {}) };
  const resources = (resize?.inProgress ? old.resources : undefined) ?? own;
  return { ...(requests ? { allocatedResources: requests } : {}), resources };
}

function reasonOf(input: PodStatusInput, old: PodStatus, terminal: boolean): Partial<PodStatus> {
  if (input.failure) return { reason: input.failure.reason, message: input.failure.message };
  if (!terminal && !input.terminating) return {};
  return { ...(old.reason ? { reason: old.reason } : {}), ...(old.message ? { message: old.message } : {}) };
}
