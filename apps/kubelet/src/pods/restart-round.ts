import type { Container, Pod } from '@naru/api';
import { matchingRule } from './restart-rule';
import { newestContainer, type ContainerRecord, type PodRuntime } from './runtime-state';

/**
 * Each restart of all containers (the action RestartAllContainers) begins a new round. Containers know theirs, so that
 * it is known over a restart of the kubelet which of them have still to be started anew.
 */
export interface RestartRound {
  number: number;
  /** What has to end before the round begins: an exit of the round before it has asked for it. */
  ending: readonly { container: Container; record: ContainerRecord }[];
}

const asksForAll = (container: Container, exitCode: number): boolean =>
  matchingRule(container, exitCode)?.action === 'RestartAllContainers';

/** Whether some exit of a container may restart all containers of the pod. */
export function canRestartAll({ spec }: Pod): boolean {
  const containers: Container[] = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])];
  return containers.some(({ restartPolicyRules = [] }) =>
    restartPolicyRules.some(({ action }) => action === 'RestartAllContainers'),
  );
}

/** The round that a pod is in, or is about to begin. Source: pkg/kubelet/container/helpers.go ShouldAllContainersRestart. */
export function restartRound(pod: Pod, runtime: PodRuntime): RestartRound {
  if (!canRestartAll(pod)) return { number: 0, ending: [] };
  const number = Math.max(0, ...runtime.containers.map(({ round }) => round));
  const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
  const records = containers.flatMap(container => {
    const record = newestContainer(runtime, container.name);
    return record ? [{ container, record }] : [];
  });
  const asked = records.some(
    ({ container, record }) =>
      record.round === number && record.phase === 'exited' && asksForAll(container, record.exitCode),
  );
  if (!asked) return { number, ending: [] };
  // An ephemeral container stays: it is there to look at the others.
  const ending = records.filter(({ record }) => record.phase === 'running');
  return ending.length > 0 ? { number, ending } : { number: number + 1, ending };
}
