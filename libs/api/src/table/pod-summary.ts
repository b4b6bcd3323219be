import type { ContainerStatus, Pod } from '../types';
import { isConditionTrue } from './columns';
import { since } from './duration';

/** What `kubectl get pods` says of a pod. Source: printPod in upstream's internalversion printers. */
export interface PodSummary {
  ready: string;
  reason: string;
  restarts: number;
  /** When a container last ended, RFC 3339; empty if none did. */
  lastRestart: string;
}

export function summarizePod(pod: Pod): PodSummary {
  const { spec, status } = pod;
  const sidecars = new Set(spec?.initContainers?.filter(c => c.restartPolicy === 'Always').map(c => c.name));
  const init = summarizeInit(status?.initContainerStatuses ?? [], sidecars, spec?.initContainers?.length ?? 0);
  let reason = initialReason(pod);
  if (init.reason !== undefined) reason = init.reason;
  let { restarts, lastRestart } = init.all;
  let ready = init.ready;
  if (init.reason === undefined || isConditionTrue(status?.conditions, 'Initialized')) {
    ({ restarts, lastRestart } = init.sidecars);
    const main = summarizeContainers(status?.containerStatuses ?? []);
    restarts += main.restarts;
    lastRestart = later(lastRestart, main.lastRestart);
    ready += main.ready;
    reason = main.reason ?? reason;
    if (reason === 'Completed' && main.ready > 0)
      reason = isConditionTrue(status?.conditions, 'Ready') ? 'Running' : 'NotReady';
  }
  const total = (spec?.containers.length ?? 0) + sidecars.size;
  return { ready: `${ready}/${total}`, reason: deletionReason(pod) ?? reason, restarts, lastRestart };
}

/** "3 (5m ago)" */
export function formatRestarts({ restarts, lastRestart }: PodSummary, nowMs: number): string {
  return restarts !== 0 && lastRestart !== '' ? `${restarts} (${since(lastRestart, nowMs)} ago)` : `${restarts}`;
}

function initialReason({ status }: Pod): string {
  const gated = status?.conditions?.some(c => c.type === 'PodScheduled' && c.reason === 'SchedulingGated');
  return gated ? 'SchedulingGated' : status?.reason || status?.phase || '';
}

function deletionReason({ metadata, status }: Pod): string | undefined {
  if (!metadata?.deletionTimestamp) return undefined;
  if (status?.reason === 'NodeLost') return 'Unknown';
  return status?.phase === 'Succeeded' || status?.phase === 'Failed' ? undefined : 'Terminating';
}

interface Restarts {
  restarts: number;
  lastRestart: string;
}

interface InitSummary {
  /** Set while the pod initializes: "Init:0/2", "Init:CrashLoopBackOff". */
  reason: string | undefined;
  ready: number;
  all: Restarts;
  sidecars: Restarts;
}

function summarizeInit(statuses: readonly ContainerStatus[], sidecarNames: Set<string>, total: number): InitSummary {
  const summary: InitSummary = {
    reason: undefined,
    ready: 0,
    all: { restarts: 0, lastRestart: '' },
    sidecars: { restarts: 0, lastRestart: '' },
  };
  for (const [index, container] of statuses.entries()) {
    const isSidecar = sidecarNames.has(container.name);
    count(summary.all, container);
    if (isSidecar) count(summary.sidecars, container);
    const { terminated, waiting } = container.state ?? {};
    if (terminated?.exitCode === 0) continue;
    if (isSidecar && container.started) {
      if (container.ready) summary.ready++;
      continue;
    }
    if (terminated) summary.reason = `Init:${terminationReason(terminated)}`;
    else if (waiting?.reason && waiting.reason !== 'PodInitializing') summary.reason = `Init:${waiting.reason}`;
    else summary.reason = `Init:${index}/${total}`;
    return summary;
  }
  return summary;
}

function summarizeContainers(statuses: readonly ContainerStatus[]): Restarts & { ready: number; reason?: string } {
  const summary: Restarts & { ready: number; reason?: string } = { restarts: 0, lastRestart: '', ready: 0 };
  // From the last to the first: the first container's trouble is the one that is shown.
  for (const container of [...statuses].reverse()) {
    count(summary, container);
    const { waiting, terminated, running } = container.state ?? {};
    if (waiting?.reason) summary.reason = waiting.reason;
    else if (terminated) summary.reason = terminationReason(terminated);
    else if (container.ready && running) summary.ready++;
  }
  return summary;
}

function terminationReason(terminated: NonNullable<NonNullable<ContainerStatus['state']>['terminated']>): string {
  return terminated.reason || (terminated.signal ? `Signal:${terminated.signal}` : `ExitCode:${terminated.exitCode}`);
}

function count(into: Restarts, container: ContainerStatus): void {
  into.restarts += container.restartCount;
  into.lastRestart = later(into.lastRestart, container.lastState?.terminated?.finishedAt ?? '');
}

/** Timestamps of one format compare as text. */
function later(a: string, b: string): string {
  return a > b ? a : b;
}
