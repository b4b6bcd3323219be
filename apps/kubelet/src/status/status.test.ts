import type { Container, Pod, PodStatus, Stored } from '@naru/api';
import { pods } from '@naru/api';
import { StatusError, silentLogger, systemClock } from '@naru/foundation';
import { MemoryObjects, eventually } from '@naru/testing';
import type { ContainerPhase, ContainerRecord, PodRuntime } from '../pods/runtime-state';
import { podStatus, type PodStatusInput } from './pod-status';
import { StatusWriter, isUrgent, statusPatch } from './status-writer';

function record(name: string, phase: ContainerPhase, more: Partial<ContainerRecord> = {}): ContainerRecord {
  return {
    id: `${name}-0`,
    name,
    sandboxId: 's',
    phase,
    attempt: 0,
    restartCount: 0,
    round: 0,
    hash: '',
    createdAt: 1_000,
    startedAt: 2_000,
    finishedAt: phase === 'exited' ? 3_000 : 0,
    exitCode: 0,
    reason: '',
    message: '',
    image: 'busybox',
    imageRef: 'sha256:1',
    logPath: '',
    messagePath: '',
    messagePolicy: 'File',
    messageHostPath: '',
    recursiveReadOnly: [],
    preStop: undefined,
    gracePeriodSeconds: undefined,
    user: undefined,
    resources: undefined,
    stopSignal: undefined,
    ...more,
  };
}

const container = (name: string, more: Partial<Container> = {}): Container => ({ name, image: 'busybox', ...more });

function compute(
  spec: Partial<NonNullable<Pod['spec']>>,
  containers: ContainerRecord[],
  more: Partial<PodStatusInput> = {},
  old: PodStatus = {},
): PodStatus {
  const pod: Pod = {
    metadata: { name: 'p', namespace: 'n', uid: 'u', generation: 1 },
    spec: { containers: [container('a')], restartPolicy: 'Always', ...spec },
    status: old,
  };
  const runtime: PodRuntime = {
    uid: 'u',
    name: 'p',
    namespace: 'n',
    sandboxes: [{ id: 's', ready: true, attempt: 0, createdAt: 1, ips: ['10.244.0.5'], hostNetwork: false }],
    containers,
  };
  return podStatus({
    pod,
    runtime,
    runtimeName: 'naru',
    waiting: new Map(),
    messages: new Map(),
    isReady: () => true,
    hasStarted: () => true,
    terminating: false,
    hostIps: ['10.95.0.11'],
    nowMs: 5_000,
    finished: false,
    ...more,
  });
}

const ready = (status: PodStatus): string | undefined =>
  status.conditions?.find(({ type }) => type === 'Ready')?.status;

describe('podStatus', () => {
  it('of a running pod is Running and Ready with addresses', () => {
    const status = compute({}, [record('a', 'running')]);
    expect(status).toMatchObject({
      phase: 'Running',
      podIP: '10.244.0.5',
      podIPs: [{ ip: '10.244.0.5' }],
      hostIP: '10.95.0.11',
      startTime: '1970-01-01T00:00:05Z',
      qosClass: 'BestEffort',
      containerStatuses: [
        {
          name: 'a',
          ready: true,
          started: true,
          containerID: 'naru://a-0',
          state: { running: { startedAt: '1970-01-01T00:00:02Z' } },
        },
      ],
    });
    expect(status.conditions?.map(({ type, status: value }) => `${type}=${value}`)).toEqual([
      'PodReadyToStartContainers=True',
      'Initialized=True',
      'Ready=True',
      'ContainersReady=True',
      'PodScheduled=True',
    ]);
  });

  it('holds 12 KiB of last words at most, shared by all containers', () => {
    const names = ['a', 'b', 'c', 'd'];
    const messages = new Map(names.map(name => [`${name}-0`, 'x'.repeat(4096)]));
    const status = compute(
      { containers: names.map(name => container(name)) },
      names.map(name => record(name, 'exited')),
      { messages },
    );
    const lengths = status.containerStatuses?.map(({ state, lastState }) =>
      [state, lastState].map(each => each?.terminated?.message?.length ?? 0),
    );
    expect(lengths).toEqual(names.map(() => [3072, 0]));
  });

  it('of a new pod is Pending and waits for its containers', () => {
    const status = compute({ initContainers: [container('i')] }, []);
    expect(status.phase).toBe('Pending');
    expect(status.containerStatuses?.[0]?.state).toEqual({ waiting: { reason: 'PodInitializing' } });
    expect(status.conditions?.find(({ type }) => type === 'Initialized')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotInitialized',
      message: 'containers with incomplete status: [i]',
    });
  });

  it('tells a crash loop by its waiting reason and the last end', () => {
    const waiting = new Map([['a', { reason: 'CrashLoopBackOff', message: 'back-off 10s' }]]);
    const status = compute({}, [record('a', 'exited', { exitCode: 1, restartCount: 2 })], { waiting });
    expect(status.phase).toBe('Running');
    expect(status.containerStatuses?.[0]).toMatchObject({
      restartCount: 2,
      ready: false,
      state: { waiting: { reason: 'CrashLoopBackOff' } },
      lastState: { terminated: { exitCode: 1, reason: 'Error' } },
    });
    expect(ready(status)).toBe('False');
  });

  it.each([
    ['Never', 0, 'Succeeded'],
    ['Never', 1, 'Failed'],
    ['OnFailure', 0, 'Succeeded'],
    ['OnFailure', 1, 'Running'],
    ['Always', 0, 'Running'],
  ])('under %s after exit code %d is %s', (restartPolicy, exitCode, phase) => {
    expect(compute({ restartPolicy }, [record('a', 'exited', { exitCode })]).phase).toBe(phase);
  });

  it('of a pod whose init container failed under Never is Failed', () => {
    const spec = { restartPolicy: 'Never', initContainers: [container('i')] };
    expect(compute(spec, [record('i', 'exited', { exitCode: 1 })], { finished: true }).phase).toBe('Failed');
  });

  it('of a pod that this node refused tells why, and nothing of its containers', () => {
    const runtime: PodRuntime = { uid: 'u', name: 'p', namespace: 'n', sandboxes: [], containers: [] };
    const status = compute({}, [], { runtime, failure: { reason: 'NodePorts', message: 'taken' } });
    expect(status).toMatchObject({ phase: 'Failed', reason: 'NodePorts', message: 'taken' });
    expect(status.containerStatuses).toBeUndefined();
  });

  it('tells that all containers are restarted, and then that they begin anew', () => {
    const restartPolicyRules = [{ action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [42] } }];
    const containers = [container('a', { restartPolicy: 'Never', restartPolicyRules }), container('b')];
    const restarting = (b: ContainerPhase, round = 0, more: Partial<PodStatusInput> = {}): unknown => {
      const records = [record('b', b, { round, exitCode: 137 }), record('a', 'exited', { exitCode: 42 })];
      const { phase, conditions, containerStatuses } = compute({ containers }, records, more);
      const { status, reason } = conditions?.find(({ type }) => type === 'AllContainersRestarting') ?? {};
      return [phase, status, reason, ...(containerStatuses ?? []).map(each => Object.keys(each.state ?? {})[0])];
    };
    expect(restarting('running')).toEqual(['Running', 'True', 'RestartAllContainersStarted', 'terminated', 'running']);
    expect(restarting('exited')).toEqual(['Pending', 'False', undefined, 'waiting', 'waiting']);
    expect(restarting('running', 1)).toEqual(['Running', 'False', undefined, 'waiting', 'running']);
    const over = { finished: true, failure: { reason: 'Evicted', message: 'm' } };
    expect(restarting('exited', 0, over)).toEqual(['Failed', 'False', 'PodFailed', 'terminated', 'terminated']);
  });

  it('keeps a terminal phase', () => {
    expect(compute({}, [], { terminating: true }, { phase: 'Succeeded' }).phase).toBe('Succeeded');
  });

  it('says that a container is lost when the runtime does not know it any more', () => {
    const old: PodStatus = {
      containerStatuses: [
        {
          name: 'a',
          image: '',
          imageID: '',
          ready: true,
          restartCount: 1,
          containerID: 'naru://x',
          state: { running: { startedAt: '1970-01-01T00:00:01Z' } },
        },
      ],
    };
    expect(compute({}, [], {}, old).containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      state: { waiting: {} },
      lastState: { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown' } },
    });
  });

  it('is not Ready before its readiness gates are', () => {
    const spec = { readinessGates: [{ conditionType: 'x.io/lb' }] };
    expect(ready(compute(spec, [record('a', 'running')]))).toBe('False');
    const old: PodStatus = { conditions: [{ type: 'x.io/lb', status: 'True' }] };
    const status = compute(spec, [record('a', 'running')], {}, old);
    expect(ready(status)).toBe('True');
    expect(status.conditions?.at(-1)).toEqual({ type: 'x.io/lb', status: 'True' });
  });

  it('keeps times of transition while nothing changes', () => {
    const first = compute({}, [record('a', 'running')]);
    expect(compute({}, [record('a', 'running')], { nowMs: 9_000_000 }, first)).toEqual(first);
  });
});

describe('isUrgent', () => {
  const at = (records: ContainerRecord[], more: Partial<PodStatusInput> = {}): PodStatus => compute({}, records, more);
  it('holds for Ready and for errors, not for the way there', () => {
    const creating = at([]);
    expect(isUrgent({}, creating)).toBe(false);
    expect(isUrgent(creating, at([record('a', 'running')]))).toBe(true);
    const waiting = new Map([['a', { reason: 'ErrImagePull', message: 'no' }]]);
    expect(isUrgent(creating, at([], { waiting }))).toBe(true);
    expect(isUrgent(at([record('a', 'running')]), at([record('a', 'exited')]))).toBe(true);
  });
});

describe('StatusWriter', () => {
  function setUp(): { api: MemoryObjects; writer: StatusWriter; pod: Stored<Pod> } {
    const api = new MemoryObjects();
    const pod = api.seed(pods, { metadata: { name: 'p', namespace: 'n' }, spec: { containers: [container('a')] } });
    const writer = new StatusWriter({ client: api, clock: systemClock, logger: silentLogger, debounceMs: 5 });
    return { api, writer, pod };
  }
  const stored = (api: MemoryObjects): Promise<Stored<Pod>> => api.get(pods, { namespace: 'n', name: 'p' });
  const running = (): PodStatus => compute({}, [record('a', 'running')]);

  it('writes what is urgent at once and skips what did not change', async () => {
    const { api, writer, pod } = setUp();
    writer.set(pod, running);
    await writer.flush(pod.metadata.uid);
    expect((await stored(api)).status?.phase).toBe('Running');
    writer.set(pod, running);
    await writer.flush(pod.metadata.uid);
    expect(api.writes).toHaveLength(1);
  });

  it('computes again on a conflict', async () => {
    const { api, writer, pod } = setUp();
    await api.patch(pods, { namespace: 'n', name: 'p' }, { type: 'merge', body: { metadata: { labels: { a: 'b' } } } });
    writer.set(pod, running);
    await eventually(async () => expect((await stored(api)).status?.phase).toBe('Running'));
  });

  it('tries again when the api-server is away', async () => {
    const { api, writer, pod } = setUp();
    api.failNext(new StatusError('ServiceUnavailable', 'away'));
    writer.set(pod, running);
    await eventually(async () => expect((await stored(api)).status?.phase).toBe('Running'));
  });

  it('takes out what is not there any more', () => {
    expect(statusPatch({ reason: 'x', phase: 'Failed', nominatedNodeName: 'n' }, { phase: 'Failed' })).toEqual({
      reason: null,
    });
  });
});
