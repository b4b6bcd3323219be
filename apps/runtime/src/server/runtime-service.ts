import { StatusError, type Clock, type Logger } from '@naru/foundation';
import { cri } from '@naru/proto';
import type { Networks } from '../cni/networks';
import type { ContainerRecord } from '../containers/container-record';
import { containerState, type Containers } from '../containers/containers';
import { execSync, prepareExec } from '../containers/exec';
import type { ImageStore } from '../images/image-store';
import type { OciRuntimes } from '../oci/oci-runtimes';
import type { SandboxRecord } from '../sandboxes/sandbox-record';
import type { Sandboxes } from '../sandboxes/sandboxes';
import type { UserNamespaceSupport } from '../sandboxes/user-namespace-support';
import { runAttachSession } from '../streaming/attach-session';
import { forwardInto } from '../streaming/forward-session';
import { runExecSession } from '../streaming/exec-session';
import type { StreamingServer } from '../streaming/streaming-server';
import { EventHub } from './event-hub';
import { handlers } from './grpc-handlers';
import { metricDescriptors, podMetrics } from './pod-metrics';
import type { Usage } from './usage';
import { containerStatus, containerView, matchesLabels, sandboxState, sandboxStatus, sandboxView } from './views';

export interface RuntimeServiceDeps {
  sandboxes: Sandboxes;
  containers: Containers;
  images: ImageStore;
  networks: Networks;
  runtimes: OciRuntimes;
  userNamespaces: UserNamespaceSupport;
  streaming: StreamingServer;
  usage: Usage;
  events: EventHub;
  state: string;
  cgroupDriver: cri.CgroupDriver;
  version: string;
  clock: Clock;
  logger: Logger;
}

const { CONTAINER_STARTED_EVENT, CONTAINER_STOPPED_EVENT, CONTAINER_DELETED_EVENT } = cri.ContainerEventType;
const streamPageSize = 100;

function* pages<T>(items: T[]): Generator<T[]> {
  for (let at = 0; at < items.length; at += streamPageSize) yield items.slice(at, at + streamPageSize);
}

async function* each<T, A>(items: T[], wrap: (page: T[]) => A): AsyncGenerator<A> {
  for (const page of pages(items)) yield await Promise.resolve(wrap(page));
}

/** What the kubelet is told with an event: the pod as it is now. */
export function eventOf(
  deps: Pick<RuntimeServiceDeps, 'sandboxes' | 'containers' | 'images' | 'clock'>,
  type: cri.ContainerEventType,
  id: string,
  sandboxId: string,
): cri.ContainerEventResponse {
  const sandbox = deps.sandboxes.find(sandboxId);
  return {
    containerId: id,
    containerEventType: type,
    createdAt: BigInt(deps.clock.now()) * 1_000_000n,
    podSandboxStatus: sandbox && sandboxStatus(sandbox),
    containersStatuses: deps.containers
      .inSandbox(sandboxId)
      .map(record => containerStatus(record, deps.images.find(record.imageId))),
  };
}

/** runtime.v1.RuntimeService. */
export function runtimeService(deps: RuntimeServiceDeps): cri.RuntimeServiceServer {
  const { sandboxes, containers, images, usage, events, clock } = deps;
  const { unary, stream } = handlers(deps.logger);

  const listSandboxes = (filter: cri.PodSandboxFilter | undefined): SandboxRecord[] =>
    sandboxes
      .list()
      .filter(record => !filter?.id || record.id.startsWith(filter.id))
      .filter(record => !filter?.state || sandboxState(record) === filter.state.state)
      .filter(record => matchesLabels(record.config.labels, filter?.labelSelector ?? {}));
  const listContainers = (filter: cri.ContainerFilter | undefined): ContainerRecord[] =>
    containers
      .list()
      .filter(record => !filter?.id || record.id.startsWith(filter.id))
      .filter(record => !filter?.podSandboxId || record.sandboxId === filter.podSandboxId)
      .filter(record => !filter?.state || containerState(record) === filter.state.state)
      .filter(record => matchesLabels(record.config.labels, filter?.labelSelector ?? {}));
  const statsOf = (filter: cri.ContainerStatsFilter | undefined): cri.ContainerStats[] =>
    listContainers(
      cri.ContainerFilter.fromPartial({
        id: filter?.id ?? '',
        podSandboxId: filter?.podSandboxId ?? '',
        labelSelector: filter?.labelSelector ?? {},
      }),
    )
      .filter(record => containerState(record) === cri.ContainerState.CONTAINER_RUNNING)
      .map(record => usage.container(record));
  const sandboxStatsOf = (filter: cri.PodSandboxStatsFilter | undefined): cri.PodSandboxStats[] =>
    listSandboxes(
      cri.PodSandboxFilter.fromPartial({ id: filter?.id ?? '', labelSelector: filter?.labelSelector ?? {} }),
    )
      .filter(record => sandboxes.isReady(record))
      .map(record => usage.sandbox(record));
  const imageOf = (record: ContainerRecord): ReturnType<ImageStore['find']> => images.find(record.imageId);
  const emitSandbox = (type: cri.ContainerEventType, id: string): void => {
    if (events.watched) events.emit(eventOf(deps, type, id, id));
  };

  const stopSandbox = async (id: string): Promise<void> => {
    await Promise.all(containers.inSandbox(id).map(record => containers.stop(record.id, 0)));
    if (await sandboxes.stop(id)) emitSandbox(CONTAINER_STOPPED_EVENT, id);
  };

  const metricsOfAll = (): cri.PodSandboxMetrics[] =>
    sandboxes
      .list()
      .filter(record => sandboxes.isReady(record))
      .map(record =>
        podMetrics(
          usage,
          record,
          containers.inSandbox(record.id).filter(each => containerState(each) === cri.ContainerState.CONTAINER_RUNNING),
        ),
      );
  return {
    version: unary('Version', () => ({
      version: '0.1.0',
      runtimeName: 'naru',
      runtimeVersion: deps.version,
      runtimeApiVersion: 'v1',
    })),
    status: unary('Status', async request => {
      const problem = await deps.networks.problem();
      const ready = (type: string): cri.RuntimeCondition => ({ type, status: true, reason: '', message: '' });
      const networkCondition =
        problem === undefined
          ? ready('NetworkReady')
          : {
              type: 'NetworkReady',
              status: false,
              reason: 'NetworkPluginNotReady',
              message: `Network plugin returns error: ${problem}`,
            };
      return {
        status: { conditions: [ready('RuntimeReady'), networkCondition] },
        info: request.verbose
          ? { config: JSON.stringify({ ociRuntime: deps.runtimes.standard.program, network: problem ?? 'ok' }) }
          : {},
        runtimeHandlers: await Promise.all(
          deps.runtimes.handlers.map(async name => {
            const [recursiveReadOnlyMounts, problem] = await Promise.all([
              deps.runtimes.get(name).recursiveReadOnly(),
              deps.userNamespaces.problem(name),
            ]);
            return { name, features: { recursiveReadOnlyMounts, userNamespaces: problem === undefined } };
          }),
        ),
        features: { supplementalGroupsPolicy: true, userNamespacesHostNetwork: false },
      };
    }),
    runtimeConfig: unary('RuntimeConfig', () => ({ linux: { cgroupDriver: deps.cgroupDriver } })),
    // The pod CIDR is in the CNI configuration, which the network process writes.
    updateRuntimeConfig: unary('UpdateRuntimeConfig', () => ({})),

    runPodSandbox: unary('RunPodSandbox', async request => {
      if (!request.config) throw new StatusError('BadRequest', 'the request has no config');
      const record = await sandboxes.run(request.config, request.runtimeHandler);
      emitSandbox(CONTAINER_STARTED_EVENT, record.id);
      return { podSandboxId: record.id };
    }),
    stopPodSandbox: unary('StopPodSandbox', async request => {
      await stopSandbox(request.podSandboxId);
      return {};
    }),
    removePodSandbox: unary('RemovePodSandbox', async request => {
      const id = request.podSandboxId;
      if (!sandboxes.find(id)) return {};
      await stopSandbox(id);
      await Promise.all(containers.inSandbox(id).map(record => containers.remove(record.id)));
      await sandboxes.remove(id);
      emitSandbox(CONTAINER_DELETED_EVENT, id);
      return {};
    }),
    podSandboxStatus: unary('PodSandboxStatus', async request => {
      const record = sandboxes.get(request.podSandboxId);
      return {
        status: sandboxStatus(record),
        info: request.verbose
          ? {
              info: JSON.stringify({
                netns: sandboxes.namespaces(record.id).network,
                network: record.network?.result,
                networkCheck: await sandboxes.checkNetwork(record),
              }),
            }
          : {},
        containersStatuses: containers
          .inSandbox(record.id)
          .map(container => containerStatus(container, imageOf(container))),
        timestamp: BigInt(clock.now()) * 1_000_000n,
      };
    }),
    listPodSandbox: unary('ListPodSandbox', request => ({ items: listSandboxes(request.filter).map(sandboxView) })),
    streamPodSandboxes: stream('StreamPodSandboxes', request =>
      each(listSandboxes(request.filter).map(sandboxView), podSandboxes => ({ podSandboxes })),
    ),
    // The kubelet sizes the pod's cgroup itself.
    updatePodSandboxResources: unary('UpdatePodSandboxResources', request => {
      sandboxes.get(request.podSandboxId);
      return {};
    }),

    createContainer: unary('CreateContainer', async request => {
      const sandbox = sandboxes.get(request.podSandboxId);
      if (!request.config) throw new StatusError('BadRequest', 'the request has no config');
      const record = await containers.create(sandbox, request.config, request.sandboxConfig ?? sandbox.config);
      return { containerId: record.id };
    }),
    startContainer: unary('StartContainer', async request => {
      await containers.start(request.containerId);
      return {};
    }),
    stopContainer: unary('StopContainer', async (request, { signal }) => {
      await containers.stop(request.containerId, Number(request.timeout), signal);
      return {};
    }),
    removeContainer: unary('RemoveContainer', async request => {
      await containers.remove(request.containerId);
      return {};
    }),
    listContainers: unary('ListContainers', request => ({
      containers: listContainers(request.filter).map(record => containerView(record, imageOf(record))),
    })),
    streamContainers: stream('StreamContainers', request =>
      each(
        listContainers(request.filter).map(record => containerView(record, imageOf(record))),
        page => ({ containers: page }),
      ),
    ),
    containerStatus: unary('ContainerStatus', request => {
      const record = containers.get(request.containerId);
      return {
        status: containerStatus(record, imageOf(record)),
        info: request.verbose
          ? { info: JSON.stringify({ pid: record.main?.pid, sandboxID: record.sandboxId, cgroup: record.cgroup }) }
          : {},
      };
    }),
    updateContainerResources: unary('UpdateContainerResources', async request => {
      await containers.update(request.containerId, request.linux);
      return {};
    }),
    reopenContainerLog: unary('ReopenContainerLog', request => {
      containers.reopenLog(request.containerId);
      return {};
    }),
    checkpointContainer: unary('CheckpointContainer', async request => {
      await containers.checkpoint(request.containerId, request.location, Number(request.timeout) * 1_000);
      return {};
    }),

    execSync: unary('ExecSync', async request => {
      const record = containers.running(request.containerId);
      return execSync(
        prepareExec(containers.runtimeOf(record), deps.state, record, request.cmd, false),
        Number(request.timeout) * 1_000,
      );
    }),
    exec: unary('Exec', request => {
      const record = containers.running(request.containerId);
      if (request.tty && request.stderr) throw new StatusError('BadRequest', 'tty and stderr cannot both be true');
      const { stdin, stdout, stderr, tty, cmd } = request;
      const streams = { stdin, stdout, stderr, tty };
      return {
        url: deps.streaming.prepare({
          kind: 'exec',
          streams,
          run: session =>
            runExecSession(prepareExec(containers.runtimeOf(record), deps.state, record, cmd, tty), session, streams),
        }),
      };
    }),
    attach: unary('Attach', request => {
      const record = containers.running(request.containerId);
      const { stdin, stdout, stderr } = request;
      if (stdin && !record.config.stdin) throw new StatusError('BadRequest', 'the container has no standard input');
      const streams = { stdin, stdout, stderr, tty: record.config.tty };
      return {
        url: deps.streaming.prepare({
          kind: 'attach',
          streams,
          run: session => runAttachSession(containers, record.id, session, streams),
        }),
      };
    }),
    portForward: unary('PortForward', request => {
      const sandbox = sandboxes.get(request.podSandboxId);
      if (!sandboxes.isReady(sandbox))
        throw new StatusError('BadRequest', `sandbox container "${sandbox.id}" is not running`);
      const forward = forwardInto(sandboxes.networkOf(sandbox));
      return { url: deps.streaming.prepare({ kind: 'portforward', forward }) };
    }),

    getContainerEvents: stream('GetContainerEvents', (_, { signal }) => listen(events, signal)),

    containerStats: unary('ContainerStats', request => ({
      stats: usage.container(containers.get(request.containerId)),
    })),
    listContainerStats: unary('ListContainerStats', request => ({ stats: statsOf(request.filter) })),
    streamContainerStats: stream('StreamContainerStats', request =>
      each(statsOf(request.filter), containerStats => ({ containerStats })),
    ),
    podSandboxStats: unary('PodSandboxStats', request => ({
      stats: usage.sandbox(sandboxes.get(request.podSandboxId)),
    })),
    listPodSandboxStats: unary('ListPodSandboxStats', request => ({ stats: sandboxStatsOf(request.filter) })),
    streamPodSandboxStats: stream('StreamPodSandboxStats', request =>
      each(sandboxStatsOf(request.filter), podSandboxStats => ({ podSandboxStats })),
    ),
    listMetricDescriptors: unary('ListMetricDescriptors', () => ({ descriptors: metricDescriptors })),
    listPodSandboxMetrics: unary('ListPodSandboxMetrics', () => ({ podMetrics: metricsOfAll() })),
    streamPodSandboxMetrics: stream('StreamPodSandboxMetrics', () =>
      each(metricsOfAll(), podSandboxMetrics => ({ podSandboxMetrics })),
    ),
  };
}

/** Events from now on, until the caller goes away or falls too far behind. */
async function* listen(events: EventHub, signal: AbortSignal): AsyncGenerator<cri.ContainerEventResponse> {
  const queue: cri.ContainerEventResponse[] = [];
  let wake: () => void = () => undefined;
  const end = events.subscribe(event => {
    queue.push(event);
    wake();
  });
  signal.addEventListener('abort', () => wake(), { once: true });
  try {
    while (!signal.aborted) {
      if (queue.length > events.maxQueued)
        throw new StatusError('TooManyRequests', 'the reader of container events is too slow');
      const next = queue.shift();
      if (next) yield next;
      else await new Promise<void>(resolve => (wake = resolve));
    }
  } finally {
    end();
  }
}
