import type { Pod, PodStatus } from '@naru/api';
import { formatTime } from '@naru/foundation';

/** What a kubelet would do next with a pod of its node. */
export type PodStep =
  { kind: 'nothing' } | { kind: 'remove' } | { kind: 'wait'; ms: number } | { kind: 'report'; status: PodStatus };

export interface PodLife {
  /** Milliseconds from the assignment to Ready. */
  startMs: number;
  /** Milliseconds that a pod of a Job works. */
  jobMs: number;
}

type Condition = NonNullable<PodStatus['conditions']>[number];
type ContainerStatus = NonNullable<PodStatus['containerStatuses']>[number];
type Container = NonNullable<Pod['spec']>['containers'][number];

const nothing: PodStep = { kind: 'nothing' };

/** Pure: the next step of a pod, given when it was first seen on its node. Times are milliseconds since the epoch. */
export function nextStep(pod: Pod, { startMs, jobMs }: PodLife, seenMs: number, nowMs: number, ip: string): PodStep {
  const phase = pod.status?.phase ?? 'Pending';
  if (pod.metadata?.deletionTimestamp) return { kind: 'remove' };
  if (phase === 'Succeeded' || phase === 'Failed') return nothing;
  if (phase !== 'Running') {
    const left = seenMs + startMs - nowMs;
    return left > 0 ? { kind: 'wait', ms: left } : { kind: 'report', status: running(pod, nowMs, ip) };
  }
  if (!pod.metadata?.ownerReferences?.some(({ kind, controller }) => kind === 'Job' && controller)) return nothing;
  const left = Date.parse(pod.status?.startTime ?? '') + jobMs - nowMs;
  return left > 0 ? { kind: 'wait', ms: left } : { kind: 'report', status: succeeded(pod, nowMs) };
}

function conditions(now: string, isReady: boolean): Condition[] {
  const row = (type: string, status: boolean): Condition => ({
    type,
    status: status ? 'True' : 'False',
    lastTransitionTime: now,
    ...(status ? {} : { reason: 'PodCompleted' }),
  });
  return [
    row('PodReadyToStartContainers', isReady),
    row('Initialized', true),
    row('Ready', isReady),
    row('ContainersReady', isReady),
  ];
}

function containerStatus(
  { name, image = '' }: Container,
  uid: string,
  state: ContainerStatus['state'],
): ContainerStatus {
  const runs = state?.running !== undefined;
  return {
    name,
    image,
    imageID: '',
    containerID: `hollow://${uid}/${name}`,
    ready: runs,
    started: runs,
    restartCount: 0,
    state,
  };
}

function running({ metadata, spec }: Pod, nowMs: number, ip: string): PodStatus {
  const now = formatTime(nowMs);
  const uid = metadata?.uid ?? '';
  const done = { terminated: { exitCode: 0, reason: 'Completed', startedAt: now, finishedAt: now } };
  const started = { running: { startedAt: now } };
  const initContainers = spec?.initContainers ?? [];
  return {
    phase: 'Running',
    startTime: now,
    podIP: ip,
    podIPs: [{ ip }],
    conditions: conditions(now, true),
    containerStatuses: (spec?.containers ?? []).map(container => containerStatus(container, uid, started)),
    ...(initContainers.length > 0
      ? {
          initContainerStatuses: initContainers.map(container =>
            containerStatus(container, uid, container.restartPolicy === 'Always' ? started : done),
          ),
        }
      : {}),
  };
}

function succeeded({ metadata, spec, status }: Pod, nowMs: number): PodStatus {
  const now = formatTime(nowMs);
  const startedAt = status?.startTime ?? now;
  const terminated = { exitCode: 0, reason: 'Completed', startedAt, finishedAt: now };
  return {
    phase: 'Succeeded',
    conditions: conditions(now, false),
    containerStatuses: (spec?.containers ?? []).map(container =>
      containerStatus(container, metadata?.uid ?? '', { terminated }),
    ),
  };
}
