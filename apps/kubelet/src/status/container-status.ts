import path from 'node:path';
import { formatTime } from '@naru/foundation';
import type { Container, ContainerStatus, Pod, PodStatus } from '@naru/api';
import type { DeviceHealth } from '../devices/device-health';
import { isSidecar, restartsAfter } from '../pods/restart-rule';
import type { ContainerRecord, PodRuntime } from '../pods/runtime-state';

export type ContainerState = NonNullable<ContainerStatus['state']>;

/** Why a container does not run, from the last attempt to make it run. */
export interface WaitingReason {
  reason: string;
  message: string;
}

export interface ContainerStatusInput {
  pod: Pod;
  runtime: PodRuntime;
  /** `naru://`, `containerd://`: the scheme of container ids. */
  runtimeName: string;
  waiting: ReadonlyMap<string, WaitingReason>;
  /** Texts of termination messages by container id. */
  messages: ReadonlyMap<string, string>;
  isReady: (container: Container, record: ContainerRecord) => boolean;
  hasStarted: (container: Container, record: ContainerRecord) => boolean;
  /** What it was given is not in effect yet. */
  isOutdated?: (container: Container, record: ContainerRecord) => boolean;
  /** What is known of the devices that a container was given. */
  deviceHealth?: (container: Container) => DeviceHealth;
  /** Containers of earlier rounds have run, and are to be started anew. */
  round?: number;
  /** The pod is on its way out: nothing is started any more. */
  terminating: boolean;
}

const optionalTime = (ms: number): string | undefined => (ms > 0 ? formatTime(ms) : undefined);

/** What the last words of a pod's containers may take together. Source: MaxPodTerminationMessageLogLength. */
const maxMessagesBytes = 12 * 1024;

/** No more of a message than is one container's share. */
function shareOf(message: string, { spec }: Pod): string {
  const lists = [spec?.containers, spec?.initContainers, spec?.ephemeralContainers];
  const containers = lists.reduce((sum, list) => sum + (list?.length ?? 0), 0);
  const bytes = Buffer.from(message);
  const share = Math.floor(maxMessagesBytes / Math.max(1, containers));
  return bytes.length <= share ? message : bytes.toString('utf8', 0, share);
}

function terminated(record: ContainerRecord, input: ContainerStatusInput): ContainerState {
  const message = shareOf(input.messages.get(record.id) || record.message, input.pod);
  return {
    terminated: {
      exitCode: record.exitCode,
      reason: record.reason || (record.exitCode === 0 ? 'Completed' : 'Error'),
      ...(message ? { message } : {}),
      startedAt: optionalTime(record.startedAt),
      finishedAt: optionalTime(record.finishedAt),
      containerID: `${input.runtimeName}://${record.id}`,
    },
  };
}

function stateOf(record: ContainerRecord, input: ContainerStatusInput, fallback: ContainerState): ContainerState {
  if (record.phase === 'running') return { running: { startedAt: optionalTime(record.startedAt) } };
  if (record.phase === 'exited') return terminated(record, input);
  if (record.phase === 'unknown') {
    return {
      terminated: {
        exitCode: 137,
        reason: 'ContainerStatusUnknown',
        message: 'The container could not be located when the pod was terminated',
        containerID: `${input.runtimeName}://${record.id}`,
      },
    };
  }
  return fallback;
}

const cleared = (status: ContainerStatus): ContainerStatus => JSON.parse(JSON.stringify(status)) as ContainerStatus;

/** A container that the runtime does not know: not yet, or not any more. */
function withoutRecord(
  container: Container,
  old: ContainerStatus | undefined,
  fallback: ContainerState,
  input: ContainerStatusInput,
): ContainerStatus {
  const blank = {
    name: container.name,
    image: container.image ?? '',
    imageID: '',
    ready: false,
    started: false,
    restartCount: 0,
    lastState: {},
    state: fallback,
  };
  if (!old) return blank;
  if (old.state?.terminated) return { ...old, ready: false, started: false };
  if (old.state?.running || old.containerID) {
    // It ran, and its traces are lost with the runtime's.
    const lost: ContainerState = {
      terminated: {
        exitCode: 137,
        reason: 'ContainerStatusUnknown',
        message: 'The container could not be located when the pod was deleted.  The container used to be Running',
        startedAt: old.state?.running?.startedAt,
        finishedAt: undefined,
        ...(old.containerID ? { containerID: old.containerID } : {}),
      },
    };
    if (input.terminating) return cleared({ ...old, ready: false, started: false, state: lost });
    return cleared({ ...blank, restartCount: old.restartCount, lastState: lost });
  }
  return { ...blank, restartCount: old.restartCount, lastState: old.lastState ?? {} };
}

function withRecord(
  container: Container,
  record: ContainerRecord,
  old: ContainerStatus | undefined,
  fallback: ContainerState,
  init: boolean,
  input: ContainerStatusInput,
): ContainerStatus {
  const { pod, runtime } = input;
  let state = stateOf(record, input, fallback);
  let lastState: ContainerState = {};
  const before = runtime.containers.find(
    other => other.name === container.name && other.id !== record.id && other.phase === 'exited',
  );
  if (before) lastState = terminated(before, input);
  else if (old?.lastState?.terminated && old.restartCount === record.restartCount) lastState = old.lastState;
  const waiting = input.waiting.get(container.name);
  const comesBack = record.phase === 'exited' && restartsAfter(pod, container, record.exitCode, init);
  if (waiting && !input.terminating && (comesBack || record.phase === 'created')) {
    if (record.phase === 'exited') lastState = state;
    state = { waiting: waiting };
  }
  if (record.phase === 'exited' && record.round < (input.round ?? 0)) {
    lastState = terminated(record, input);
    state = fallback;
  }
  const running = record.phase === 'running';
  const isDone = state.terminated?.exitCode === 0;
  // An ordinary init container is ready once it has done its work.
  const ready = init && !isSidecar(container) ? isDone : running && input.isReady(container, record);
  return cleared({
    name: container.name,
    image: record.image || (container.image ?? ''),
    imageID: record.imageRef,
    containerID: `${input.runtimeName}://${record.id}`,
    restartCount: record.restartCount,
    ready,
    started: running && input.hasStarted(container, record),
    state,
    lastState,
    ...resourcesOf(container, old, input.isOutdated?.(container, record) ?? false),
    ...(init ? {} : devicesOf(container, input)),
    ...userOf(record),
    ...(record.stopSignal ? { stopSignal: record.stopSignal } : {}),
    ...mountsOf(container, record),
  });
}

/** What the container runs with: as long as a resize is not in effect that is what it ran with before. */
function resourcesOf(
  container: Container,
  old: ContainerStatus | undefined,
  outdated: boolean,
): Partial<ContainerStatus> {
  const { requests, limits } = container.resources ?? {};
  if (!requests && !limits) return {};
  const own = { ...(limits ? { limits } : {}), ...(requests ? { requests } : {}) };
  const resources = (outdated ? old?.resources : undefined) ?? own;
  return { resources, ...(requests ? { allocatedResources: requests } : {}) };
}

/** Of main containers only, as in upstream. */
function devicesOf(container: Container, { deviceHealth }: ContainerStatusInput): Partial<ContainerStatus> {
  const allocatedResourcesStatus = deviceHealth?.(container) ?? [];
  return allocatedResourcesStatus.length > 0 ? { allocatedResourcesStatus } : {};
}

function userOf(record: ContainerRecord): Partial<ContainerStatus> {
  const linux = record.user?.linux;
  if (!linux) return {};
  const supplementalGroups = linux.supplementalGroups.map(Number);
  return { user: { linux: { uid: Number(linux.uid), gid: Number(linux.gid), supplementalGroups } } };
}

function mountsOf(container: Container, record: ContainerRecord): Partial<ContainerStatus> {
  if (!container.volumeMounts?.length) return {};
  const recursive = (mountPath: string): string =>
    record.recursiveReadOnly.includes(path.posix.resolve('/', mountPath)) ? 'Enabled' : 'Disabled';
  const volumeMounts = container.volumeMounts.map(({ name, mountPath, readOnly }) => ({
    name,
    mountPath,
    ...(readOnly ? { readOnly, recursiveReadOnly: recursive(mountPath) } : {}),
  }));
  return { volumeMounts };
}

/** The statuses of one list of containers, in the order of their names as upstream sorts them (init: of the spec). */
export function containerStatuses(
  containers: readonly Container[],
  kind: 'init' | 'main' | 'ephemeral',
  input: ContainerStatusInput,
): ContainerStatus[] {
  const { pod, runtime } = input;
  const old: PodStatus = pod.status ?? {};
  const oldList =
    kind === 'init'
      ? old.initContainerStatuses
      : kind === 'main'
        ? old.containerStatuses
        : old.ephemeralContainerStatuses;
  const hasInit = (pod.spec?.initContainers?.length ?? 0) > 0;
  const standing = { reason: hasInit && kind !== 'ephemeral' ? 'PodInitializing' : 'ContainerCreating' };
  const statuses = containers.map(container => {
    const waiting = input.waiting.get(container.name);
    const fallback: ContainerState = { waiting: waiting ?? standing };
    const record = runtime.containers.find(({ name }) => name === container.name);
    const before = oldList?.find(({ name }) => name === container.name);
    if (!record) return withoutRecord(container, before, fallback, input);
    return withRecord(container, record, before, fallback, kind === 'init', input);
  });
  return kind === 'init' ? statuses : statuses.sort((a, b) => (a.name < b.name ? -1 : 1));
}
