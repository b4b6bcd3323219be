import { cri } from '@naru/proto';
import { BoundedMap } from '@naru/foundation';
import type { CriClient } from '../cri/cri-client';
import { annotationNames, labelNames } from '../cri/labels';
import { sandboxIps } from '../cri/sandbox-ips';

export type ContainerPhase = 'created' | 'running' | 'exited' | 'unknown';

/** One container as the runtime knows it. Times in milliseconds since the epoch, 0 when it has not happened. */
export interface ContainerRecord {
  readonly id: string;
  readonly name: string;
  readonly sandboxId: string;
  readonly phase: ContainerPhase;
  readonly attempt: number;
  readonly restartCount: number;
  /** How often all containers of the pod had been restarted together when it was created. */
  readonly round: number;
  readonly hash: string;
  readonly createdAt: number;
  readonly startedAt: number;
  readonly finishedAt: number;
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
  readonly image: string;
  readonly imageRef: string;
  readonly logPath: string;
  readonly messagePath: string;
  readonly messagePolicy: string;
  /** The node's path of the file that is mounted at messagePath. */
  readonly messageHostPath: string;
  /** Places in the container that are read-only with all that is mounted below them. */
  readonly recursiveReadOnly: readonly string[];
  readonly preStop: string | undefined;
  readonly gracePeriodSeconds: number | undefined;
  readonly user: cri.ContainerUser | undefined;
  readonly resources: cri.ContainerResources | undefined;
  /** As the API names it; undefined when the runtime does not tell. */
  readonly stopSignal: string | undefined;
}

export interface SandboxRecord {
  readonly id: string;
  readonly ready: boolean;
  readonly attempt: number;
  readonly createdAt: number;
  /** Empty for pods in the node's network. */
  readonly ips: readonly string[];
  readonly hostNetwork: boolean;
}

/** Everything that the runtime holds of one pod, newest first. */
export interface PodRuntime {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly sandboxes: readonly SandboxRecord[];
  readonly containers: readonly ContainerRecord[];
}

export function emptyRuntime(uid: string, namespace: string, name: string): PodRuntime {
  return { uid, name, namespace, sandboxes: [], containers: [] };
}

const toMs = (nanoseconds: bigint): number => Number(nanoseconds / 1_000_000n);

function phaseOf(state: cri.ContainerState): ContainerPhase {
  switch (state) {
    case cri.ContainerState.CONTAINER_CREATED:
      return 'created';
    case cri.ContainerState.CONTAINER_RUNNING:
      return 'running';
    case cri.ContainerState.CONTAINER_EXITED:
      return 'exited';
    default:
      return 'unknown';
  }
}

function signalName(signal: cri.Signal): string | undefined {
  const name = cri.Signal[signal] as string | undefined;
  return name?.startsWith('SIG') ? name : undefined;
}

function containerRecord(status: cri.ContainerStatus, sandboxId: string): ContainerRecord {
  const { annotations } = status;
  const grace = annotations[annotationNames.deletionGracePeriod] ?? annotations[annotationNames.terminationGracePeriod];
  const messagePath = annotations[annotationNames.messagePath] ?? '';
  return {
    id: status.id,
    name: status.labels[labelNames.containerName] ?? status.metadata?.name ?? '',
    sandboxId,
    phase: phaseOf(status.state),
    attempt: status.metadata?.attempt ?? 0,
    restartCount: Number(annotations[annotationNames.restartCount] ?? status.metadata?.attempt ?? 0),
    round: Number(annotations[annotationNames.round] ?? 0),
    hash: annotations[annotationNames.hash] ?? '',
    createdAt: toMs(status.createdAt),
    startedAt: toMs(status.startedAt),
    finishedAt: toMs(status.finishedAt),
    exitCode: status.exitCode,
    reason: status.reason,
    message: status.message,
    image: status.image?.userSpecifiedImage || status.image?.image || '',
    imageRef: status.imageRef,
    logPath: status.logPath,
    messagePath,
    messagePolicy: annotations[annotationNames.messagePolicy] ?? 'File',
    messageHostPath: status.mounts.find(mount => mount.containerPath === messagePath)?.hostPath ?? '',
    recursiveReadOnly: status.mounts.filter(each => each.recursiveReadOnly).map(each => each.containerPath),
    preStop: annotations[annotationNames.preStop],
    gracePeriodSeconds: grace === undefined ? undefined : Number(grace),
    user: status.user,
    resources: status.resources,
    stopSignal: signalName(status.stopSignal),
  };
}

type SandboxNetwork = Pick<SandboxRecord, 'ips' | 'hostNetwork'>;

/** What is asked for once: ended containers and the networks of ready sandboxes do not change any more. */
const maxRemembered = 2_048;

/** Reads what the runtime holds of a pod. Nothing is kept but what does not change. */
export class RuntimeReader {
  private readonly exited = new BoundedMap<string, ContainerRecord>(maxRemembered);
  private readonly networks = new BoundedMap<string, SandboxNetwork>(maxRemembered);

  /** `hostIps`: the node's addresses, the main one first. */
  constructor(
    private readonly client: CriClient,
    private readonly hostIps: readonly string[],
  ) {}

  async read(uid: string, namespace: string, name: string): Promise<PodRuntime> {
    const selector = { [labelNames.podUid]: uid };
    const [sandboxes, containers] = await Promise.all([
      this.client.listPodSandboxes(selector),
      this.client.listContainers(selector),
    ]);
    const [sandboxRecords, containerRecords] = await Promise.all([
      Promise.all(sandboxes.map(sandbox => this.sandbox(sandbox))),
      Promise.all(containers.map(container => this.container(container))),
    ]);
    return {
      uid,
      namespace,
      name,
      sandboxes: present(sandboxRecords).sort((a, b) => b.createdAt - a.createdAt || b.attempt - a.attempt),
      containers: present(containerRecords).sort((a, b) => b.createdAt - a.createdAt || b.attempt - a.attempt),
    };
  }

  /** The pods that the runtime knows, by uid. */
  async listPods(): Promise<Map<string, { namespace: string; name: string }>> {
    const [sandboxes, containers] = await Promise.all([this.client.listPodSandboxes(), this.client.listContainers()]);
    const pods = new Map<string, { namespace: string; name: string }>();
    for (const { labels } of [...sandboxes, ...containers]) {
      const uid = labels[labelNames.podUid];
      if (!uid) continue;
      pods.set(uid, { namespace: labels[labelNames.podNamespace] ?? '', name: labels[labelNames.podName] ?? '' });
    }
    return pods;
  }

  /** The network of a sandbox, asked for anew. */
  async networkOf(id: string): Promise<SandboxNetwork> {
    const { status } = await this.client.podSandboxStatus(id);
    const network = {
      ips: sandboxIps(status?.network, this.hostIps),
      hostNetwork: status?.linux?.namespaces?.options?.network === cri.NamespaceMode.NODE,
    };
    if (status?.state === cri.PodSandboxState.SANDBOX_READY) this.networks.set(id, network);
    return network;
  }

  /** The list tells the rest. Of one that is not ready, runtimes say different things. */
  private async sandbox({ id, state, metadata, createdAt }: cri.PodSandbox): Promise<SandboxRecord | undefined> {
    const ready = state === cri.PodSandboxState.SANDBOX_READY;
    if (!ready) this.networks.delete(id);
    try {
      const network = this.networks.get(id) ?? (await this.networkOf(id));
      return { id, ready, attempt: metadata?.attempt ?? 0, createdAt: toMs(createdAt), ...network };
    } catch (error) {
      return ignoreGone(error);
    }
  }

  private async container(container: cri.Container): Promise<ContainerRecord | undefined> {
    const known = this.exited.get(container.id);
    if (known) return known;
    try {
      const status = await this.client.containerStatus(container.id);
      if (!status) return undefined;
      const record = containerRecord(status, container.podSandboxId);
      if (record.phase === 'exited') this.exited.set(record.id, record);
      return record;
    } catch (error) {
      return ignoreGone(error);
    }
  }
}

/** What vanished between a list and the question for its status is simply not there. */
function ignoreGone(error: unknown): undefined {
  if ((error as { notFound?: boolean }).notFound) return undefined;
  throw error;
}

function present<T>(records: (T | undefined)[]): T[] {
  return records.filter(record => record !== undefined);
}

/** What an event of the runtime says of a container or a sandbox. */
export interface RuntimeEvent {
  id: string;
  type: 'created' | 'started' | 'stopped' | 'deleted';
}

/** True when what the event tells has been seen already: most events only echo what we did ourselves. */
export function reflects(runtime: PodRuntime, { id, type }: RuntimeEvent): boolean {
  const container = runtime.containers.find(each => each.id === id);
  const sandbox = runtime.sandboxes.find(each => each.id === id);
  if (type === 'deleted') return !container && !sandbox;
  if (sandbox) return type !== 'stopped' || !sandbox.ready;
  if (!container) return false;
  return type === 'created' || (type === 'started' && container.phase !== 'created') || container.phase === 'exited';
}

/** The newest container of that name, of the given sandbox when one is named. */
export function newestContainer(runtime: PodRuntime, name: string, sandboxId?: string): ContainerRecord | undefined {
  return runtime.containers.find(
    container => container.name === name && (sandboxId === undefined || container.sandboxId === sandboxId),
  );
}
