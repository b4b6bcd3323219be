import { credentials, status, type ServiceError } from '@grpc/grpc-js';
import { cri } from '@naru/proto';
import { unary } from './unary';

/** An error that the container runtime answered with; `notFound` tells that its object is not there. */
export class CriError extends Error {
  readonly notFound: boolean;
  readonly unavailable: boolean;
  readonly deadlineExceeded: boolean;
  readonly unimplemented: boolean;
  /** As Go's client words it. */
  readonly rpcError: string;

  constructor(
    readonly method: string,
    cause: ServiceError,
  ) {
    super(cause.details || cause.message, { cause });
    this.name = 'CriError';
    this.notFound = cause.code === status.NOT_FOUND;
    this.unavailable = cause.code === status.UNAVAILABLE;
    this.deadlineExceeded = cause.code === status.DEADLINE_EXCEEDED;
    this.unimplemented = cause.code === status.UNIMPLEMENTED;
    const name = (status[cause.code] ?? 'UNKNOWN')
      .toLowerCase()
      .replace(/(^|_)(.)/g, (_, __, first: string) => first.toUpperCase());
    this.rpcError = `rpc error: code = ${name} desc = ${this.message}`;
  }
}

/** Deadlines: upstream's runtimeRequestTimeout is 2 minutes; pulls may take longer. */
const defaultTimeoutMs = 120_000;
const pullTimeoutMs = 30 * 60_000;
const maxMessageBytes = 64 << 20;

/** A call to the runtime that has ended, by the name of its method: `runPodSandbox`. */
export interface CriCall {
  method: string;
  seconds: number;
  failed: boolean;
}

export interface ExecResult {
  exitCode: number;
  output: string;
}

/** The calls of CRI v1 that the kubelet makes, as promises with deadlines. Every failure is a CriError. */
export class CriClient {
  private readonly runtime: cri.RuntimeServiceClient;
  private readonly image: cri.ImageServiceClient;

  /** Told of every call when it has ended. */
  onCall: (call: CriCall) => void = () => undefined;

  /** `endpoint` such as `unix:///run/naru/runtime.sock`. */
  constructor(endpoint: string) {
    const options = {
      'grpc.max_receive_message_length': maxMessageBytes,
      // A runtime that comes back is wanted at once: a node is not Ready without it.
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
      'grpc.use_local_subchannel_pool': 1,
      // Nobody asks for the books that it would keep of every call.
      'grpc.enable_channelz': 0,
    };
    this.runtime = new cri.RuntimeServiceClient(endpoint, credentials.createInsecure(), options);
    this.image = new cri.ImageServiceClient(endpoint, credentials.createInsecure(), options);
  }

  close(): void {
    this.runtime.close();
    this.image.close();
  }

  private async call<Q, A>(
    service: unknown,
    method: string,
    call: unknown,
    request: Q,
    timeoutMs = defaultTimeoutMs,
  ): Promise<A> {
    const startedAt = performance.now();
    let failed = true;
    try {
      const answer = await unary<Q, A>(service, call, request, timeoutMs);
      failed = false;
      return answer;
    } catch (error) {
      throw new CriError(method, error as ServiceError);
    } finally {
      this.onCall({ method, seconds: (performance.now() - startedAt) / 1000, failed });
    }
  }

  private onRuntime<Q, A>(method: keyof cri.RuntimeServiceClient, request: Q, timeoutMs?: number): Promise<A> {
    return this.call(this.runtime, String(method), this.runtime[method], request, timeoutMs);
  }

  private onImages<Q, A>(method: keyof cri.ImageServiceClient, request: Q, timeoutMs?: number): Promise<A> {
    return this.call(this.image, String(method), this.image[method], request, timeoutMs);
  }

  version(): Promise<cri.VersionResponse> {
    return this.onRuntime('version', cri.VersionRequest.fromPartial({ version: '0.1.0' }), 5_000);
  }

  status(timeoutMs = 5_000): Promise<cri.StatusResponse> {
    return this.onRuntime('status', cri.StatusRequest.fromPartial({}), timeoutMs);
  }

  runtimeConfig(): Promise<cri.RuntimeConfigResponse> {
    return this.onRuntime('runtimeConfig', cri.RuntimeConfigRequest.fromPartial({}), 5_000);
  }

  async updateRuntimeConfig(podCidr: string): Promise<void> {
    await this.onRuntime(
      'updateRuntimeConfig',
      cri.UpdateRuntimeConfigRequest.fromPartial({ runtimeConfig: { networkConfig: { podCidr } } }),
      10_000,
    );
  }

  async runPodSandbox(config: cri.PodSandboxConfig, runtimeHandler = ''): Promise<string> {
    const request = { config, runtimeHandler };
    // Upstream gives a sandbox twice the time of other calls: its network may have to be set up first.
    const answer = await this.onRuntime<cri.RunPodSandboxRequest, cri.RunPodSandboxResponse>(
      'runPodSandbox',
      request,
      2 * defaultTimeoutMs,
    );
    return answer.podSandboxId;
  }

  async stopPodSandbox(podSandboxId: string): Promise<void> {
    await this.onRuntime('stopPodSandbox', { podSandboxId });
  }

  async removePodSandbox(podSandboxId: string): Promise<void> {
    await this.onRuntime('removePodSandbox', { podSandboxId });
  }

  podSandboxStatus(podSandboxId: string): Promise<cri.PodSandboxStatusResponse> {
    return this.onRuntime('podSandboxStatus', { podSandboxId, verbose: false });
  }

  async listPodSandboxes(labelSelector: Record<string, string> = {}): Promise<cri.PodSandbox[]> {
    const request = cri.ListPodSandboxRequest.fromPartial({ filter: { labelSelector } });
    return (await this.onRuntime<unknown, cri.ListPodSandboxResponse>('listPodSandbox', request)).items;
  }

  async listContainers(labelSelector: Record<string, string> = {}): Promise<cri.Container[]> {
    const request = cri.ListContainersRequest.fromPartial({ filter: { labelSelector } });
    return (await this.onRuntime<unknown, cri.ListContainersResponse>('listContainers', request)).containers;
  }

  async createContainer(
    podSandboxId: string,
    config: cri.ContainerConfig,
    sandboxConfig: cri.PodSandboxConfig,
  ): Promise<string> {
    const request = { podSandboxId, config, sandboxConfig };
    const answer = await this.onRuntime<unknown, cri.CreateContainerResponse>('createContainer', request);
    return answer.containerId;
  }

  async startContainer(containerId: string): Promise<void> {
    await this.onRuntime('startContainer', { containerId });
  }

  /** SIGTERM, then SIGKILL after the time-out; resolves when the container has ended. */
  async stopContainer(containerId: string, timeoutSeconds: number): Promise<void> {
    const request = { containerId, timeout: BigInt(Math.max(0, Math.ceil(timeoutSeconds))) };
    await this.onRuntime('stopContainer', request, defaultTimeoutMs + timeoutSeconds * 1000);
  }

  async removeContainer(containerId: string): Promise<void> {
    await this.onRuntime('removeContainer', { containerId });
  }

  async containerStatus(containerId: string): Promise<cri.ContainerStatus | undefined> {
    const request = { containerId, verbose: false };
    return (await this.onRuntime<unknown, cri.ContainerStatusResponse>('containerStatus', request)).status;
  }

  async updateContainerResources(containerId: string, linux: cri.LinuxContainerResources): Promise<void> {
    await this.onRuntime(
      'updateContainerResources',
      cri.UpdateContainerResourcesRequest.fromPartial({ containerId, linux }),
    );
  }

  async reopenContainerLog(containerId: string): Promise<void> {
    await this.onRuntime('reopenContainerLog', { containerId });
  }

  /** Has the state of a container written to an archive; 0 seconds: as long as the runtime finds right. */
  async checkpointContainer(containerId: string, location: string, timeoutSeconds: number): Promise<void> {
    const request = { containerId, location, timeout: BigInt(timeoutSeconds) };
    await this.onRuntime('checkpointContainer', request, defaultTimeoutMs + timeoutSeconds * 1000);
  }

  /** Runs a command to its end; output is standard output, then standard error. Throws when the time is up. */
  async execSync(containerId: string, cmd: string[], timeoutSeconds: number): Promise<ExecResult> {
    const request = { containerId, cmd, timeout: BigInt(timeoutSeconds) };
    // A little longer than the runtime's own deadline, so that its answer wins.
    const timeoutMs = timeoutSeconds > 0 ? timeoutSeconds * 1000 + 2_000 : 24 * 3600_000;
    const answer = await this.onRuntime<unknown, cri.ExecSyncResponse>('execSync', request, timeoutMs);
    const output = Buffer.concat([answer.stdout, answer.stderr]).toString('utf8');
    return { exitCode: answer.exitCode, output };
  }

  async exec(request: Partial<cri.ExecRequest>): Promise<string> {
    return (await this.onRuntime<unknown, cri.ExecResponse>('exec', cri.ExecRequest.fromPartial(request))).url;
  }

  async attach(request: Partial<cri.AttachRequest>): Promise<string> {
    return (await this.onRuntime<unknown, cri.AttachResponse>('attach', cri.AttachRequest.fromPartial(request))).url;
  }

  async portForward(podSandboxId: string, port: number[]): Promise<string> {
    return (await this.onRuntime<unknown, cri.PortForwardResponse>('portForward', { podSandboxId, port })).url;
  }

  async listContainerStats(): Promise<cri.ContainerStats[]> {
    const request = cri.ListContainerStatsRequest.fromPartial({ filter: {} });
    return (await this.onRuntime<unknown, cri.ListContainerStatsResponse>('listContainerStats', request)).stats;
  }

  async listPodSandboxStats(): Promise<cri.PodSandboxStats[]> {
    const request = cri.ListPodSandboxStatsRequest.fromPartial({ filter: {} });
    return (await this.onRuntime<unknown, cri.ListPodSandboxStatsResponse>('listPodSandboxStats', request)).stats;
  }

  /**
   * Follows the runtime's container events until the signal or until the stream breaks, which rejects.
   * `onEvent` must not throw.
   */
  containerEvents(onEvent: (event: cri.ContainerEventResponse) => void, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = this.runtime.getContainerEvents({});
      const cancel = (): void => stream.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      stream.on('data', onEvent);
      stream.on('error', (error: ServiceError) => {
        signal.removeEventListener('abort', cancel);
        if (signal.aborted) resolve();
        else reject(new CriError('getContainerEvents', error));
      });
      stream.on('end', () => {
        signal.removeEventListener('abort', cancel);
        resolve();
      });
    });
  }

  async imageStatus(image: string): Promise<cri.Image | undefined> {
    const request = cri.ImageStatusRequest.fromPartial({ image: { image } });
    return (await this.onImages<unknown, cri.ImageStatusResponse>('imageStatus', request)).image;
  }

  async listImages(): Promise<cri.Image[]> {
    const request = cri.ListImagesRequest.fromPartial({});
    return (await this.onImages<unknown, cri.ListImagesResponse>('listImages', request)).images;
  }

  async pullImage(
    image: string,
    auth: Partial<cri.AuthConfig> | undefined,
    sandboxConfig?: cri.PodSandboxConfig,
  ): Promise<string> {
    const request = cri.PullImageRequest.fromPartial({
      image: { image, userSpecifiedImage: image },
      auth,
      sandboxConfig,
    });
    return (await this.onImages<unknown, cri.PullImageResponse>('pullImage', request, pullTimeoutMs)).imageRef;
  }

  async removeImage(image: string): Promise<void> {
    await this.onImages('removeImage', cri.RemoveImageRequest.fromPartial({ image: { image } }));
  }

  imageFsInfo(): Promise<cri.ImageFsInfoResponse> {
    return this.onImages('imageFsInfo', {}, 10_000);
  }
}
