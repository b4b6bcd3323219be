import { Server, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js';
import { cri } from '@naru/proto';
import path from 'node:path';

/** A CRI runtime that only has sandboxes with addresses, and tells of them as a real one does. */
export class FakeRuntime {
  private readonly sandboxes = new Map<string, cri.PodSandboxStatus>();
  private readonly streams = new Set<ServerWritableStream<cri.GetEventsRequest, cri.ContainerEventResponse>>();
  private readonly server = new Server();

  private constructor(readonly endpoint: string) {}

  static async start(dir: string): Promise<FakeRuntime> {
    const runtime = new FakeRuntime(`unix://${path.join(dir, 'runtime.sock')}`);
    // Only what is asked: calls without a handler are answered with UNIMPLEMENTED.
    runtime.server.addService(cri.RuntimeServiceService, runtime.handlers() as unknown as cri.RuntimeServiceServer);
    await new Promise<void>((resolve, reject) => {
      const { endpoint, server } = runtime;
      server.bindAsync(endpoint, ServerCredentials.createInsecure(), error => (error ? reject(error) : resolve()));
    });
    return runtime;
  }

  /** True when somebody listens to events. */
  get watched(): boolean {
    return this.streams.size > 0;
  }

  runSandbox(uid: string, ip: string): void {
    const status = cri.PodSandboxStatus.fromPartial({
      id: `sandbox-${uid}`,
      metadata: { uid, name: uid, namespace: 'default' },
      state: cri.PodSandboxState.SANDBOX_READY,
      network: { ip },
    });
    this.sandboxes.set(status.id, status);
    this.tell(status, cri.ContainerEventType.CONTAINER_STARTED_EVENT);
  }

  stopSandbox(uid: string): void {
    const status = this.sandboxes.get(`sandbox-${uid}`);
    if (!status) throw new Error(`there is no sandbox of ${uid}`);
    this.sandboxes.delete(status.id);
    const stopped = { ...status, state: cri.PodSandboxState.SANDBOX_NOTREADY };
    this.tell(stopped, cri.ContainerEventType.CONTAINER_STOPPED_EVENT);
  }

  close(): void {
    this.server.forceShutdown();
  }

  private tell(podSandboxStatus: cri.PodSandboxStatus, containerEventType: cri.ContainerEventType): void {
    const event = { containerId: podSandboxStatus.id, containerEventType, podSandboxStatus };
    for (const stream of this.streams) stream.write(cri.ContainerEventResponse.fromPartial(event));
  }

  private handlers(): Partial<cri.RuntimeServiceServer> {
    return {
      getContainerEvents: stream => {
        this.streams.add(stream);
        stream.on('cancelled', () => this.streams.delete(stream));
      },
      listPodSandbox: (_, done) =>
        done(null, { items: [...this.sandboxes.values()].map(status => cri.PodSandbox.fromPartial(status)) }),
      podSandboxStatus: ({ request }, done) =>
        done(null, cri.PodSandboxStatusResponse.fromPartial({ status: this.sandboxes.get(request.podSandboxId) })),
    };
  }
}
