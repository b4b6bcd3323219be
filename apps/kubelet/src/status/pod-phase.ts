import type { ContainerStatus, Pod } from '@naru/api';
import { isSidecar, restartsAfter } from '../pods/restart-rule';

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed';

/** The phase of a pod from its containers. Source: pkg/kubelet getPhase. */
export function podPhase(
  pod: Pod,
  init: readonly ContainerStatus[],
  main: readonly ContainerStatus[],
  finished: boolean,
): PodPhase {
  const specs = new Map([...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])].map(c => [c.name, c]));
  let pendingInit = 0;
  let failedInit = 0;
  for (const status of init) {
    const container = specs.get(status.name);
    if (!container) continue;
    const ended = status.state?.terminated ?? (status.state?.waiting ? status.lastState?.terminated : undefined);
    if (isSidecar(container)) {
      const runs = status.started || status.state?.terminated || status.lastState?.terminated;
      if (!runs) pendingInit++;
    } else if (status.state?.terminated) {
      if (status.state.terminated.exitCode !== 0) {
        if (restartsAfter(pod, container, status.state.terminated.exitCode, true)) pendingInit++;
        else failedInit++;
      }
    } else if (ended === undefined || ended.exitCode !== 0) pendingInit++;
  }

  let waiting = 0;
  let running = 0;
  let succeeded = 0;
  let failed = 0;
  let restartable = 0;
  for (const { name, state, lastState } of main) {
    const container = specs.get(name);
    if (state?.running) running++;
    else if (state?.terminated) {
      const { exitCode } = state.terminated;
      if (exitCode === 0) succeeded++;
      else failed++;
      if (container && restartsAfter(pod, container, exitCode, false)) restartable++;
    } else if (lastState?.terminated) restartable++;
    else waiting++;
  }

  if (failedInit > 0 && pod.spec?.restartPolicy === 'Never') return 'Failed';
  if (failedInit > 0 && finished) return 'Failed';
  const everRan = running + succeeded + failed + restartable > 0;
  if (pendingInit > 0 && !everRan) return 'Pending';
  if (waiting > 0) return everRan && running > 0 ? 'Running' : 'Pending';
  if (running > 0) return 'Running';
  if (restartable > 0 && !finished) return 'Running';
  if (succeeded + failed > 0) {
    if (!finished && hasRunningSidecar(init, specs)) return 'Running';
    return failed > 0 ? 'Failed' : 'Succeeded';
  }
  return restartable > 0 ? 'Running' : 'Pending';
}

function hasRunningSidecar(
  init: readonly ContainerStatus[],
  specs: ReadonlyMap<string, NonNullable<Pod['spec']>['containers'][number]>,
): boolean {
  return init.some(status => {
    const container = specs.get(status.name);
    return container !== undefined && isSidecar(container) && status.state?.running !== undefined;
  });
}
