import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { Clock, Logger } from '@naru/foundation';
import { cri } from '@naru/proto';

export interface SandboxAddressesDeps {
  /** Such as unix:///run/naru/runtime.sock. */
  endpoint: string;
  clock: Clock;
  logger: Logger;
  /** A sandbox of this pod has these addresses; none: it has been stopped. */
  onSandbox: (uid: string, ips: readonly string[]) => void;
  /** After a gap: the sandboxes there are. The others have gone. */
  onList: (sandboxes: ReadonlyMap<string, readonly string[]>) => void;
}

const reconnectMs = 500;
const timeoutMs = 10_000;

/**
 * Hears from the runtime (CRI v1) which pod has which address: after its network is made and before its first container runs. The API
 * hears of it later, and until then nobody would know which policies its packets are to be judged by.
 */
export class SandboxAddresses {
  private readonly client: cri.RuntimeServiceClient;

  constructor(private readonly deps: SandboxAddressesDeps) {
    this.client = new cri.RuntimeServiceClient(deps.endpoint, credentials.createInsecure(), {
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
    });
  }

  /** Until the signal; never rejects. `onFirst` is called once, when the sandboxes were listed or could not be. */
  async run(signal: AbortSignal, onFirst: () => void): Promise<void> {
    const { clock, logger } = this.deps;
    while (!signal.aborted) {
      try {
        await this.follow(signal, onFirst);
      } catch (err) {
        if (!signal.aborted) logger.warn({ err }, 'the runtime does not tell of its sandboxes, waiting for the API to');
      }
      onFirst();
      await clock.sleep(reconnectMs, signal).catch(() => undefined);
    }
    this.client.close();
  }

  private follow(signal: AbortSignal, onListed: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const stream = this.client.getContainerEvents({});
      const cancel = (): void => stream.cancel();
      signal.addEventListener('abort', cancel, { once: true });
      stream.on('data', (event: cri.ContainerEventResponse) => this.take(event));
      stream.on('error', (error: ServiceError) => {
        signal.removeEventListener('abort', cancel);
        reject(error);
      });
      stream.on('end', () => {
        signal.removeEventListener('abort', cancel);
        resolve();
      });
      // Events from here on are heard of; what was before them is listed.
      this.list().then(onListed, (error: unknown) => {
        stream.cancel();
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
  }

  private take({ podSandboxStatus, containerEventType, containerId }: cri.ContainerEventResponse): void {
    const uid = podSandboxStatus?.metadata?.uid;
    if (!podSandboxStatus || !uid) return;
    const ready = podSandboxStatus.state === cri.PodSandboxState.SANDBOX_READY;
    if (ready) this.deps.onSandbox(uid, addressesOf(podSandboxStatus));
    else if (
      containerId === podSandboxStatus.id &&
      containerEventType !== cri.ContainerEventType.CONTAINER_DELETED_EVENT
    )
      this.deps.onSandbox(uid, []);
  }

  private async list(): Promise<void> {
    const ready = { state: cri.PodSandboxState.SANDBOX_READY };
    const { items } = await this.call<cri.ListPodSandboxResponse>(done =>
      this.client.listPodSandbox(
        { filter: { id: '', labelSelector: {}, state: ready } },
        new Metadata(),
        deadline(),
        done,
      ),
    );
    const found = new Map<string, readonly string[]>();
    for (const { id, metadata } of items) {
      if (!metadata?.uid) continue;
      const { status } = await this.call<cri.PodSandboxStatusResponse>(done =>
        this.client.podSandboxStatus({ podSandboxId: id, verbose: false }, new Metadata(), deadline(), done),
      ).catch(() => ({ status: undefined })); // It has gone since.
      if (status) found.set(metadata.uid, addressesOf(status));
    }
    this.deps.onList(found);
  }

  private call<A>(start: (done: (error: ServiceError | null, answer: A) => void) => unknown): Promise<A> {
    return new Promise((resolve, reject) => {
      start((error, answer) => (error ? reject(error) : resolve(answer)));
    });
  }
}

function deadline(): { deadline: number } {
  return { deadline: Date.now() + timeoutMs };
}

function addressesOf({ network }: cri.PodSandboxStatus): string[] {
  return [network?.ip ?? '', ...(network?.additionalIps ?? []).map(({ ip }) => ip)].filter(Boolean);
}
