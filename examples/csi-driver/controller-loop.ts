import { credentials } from '@grpc/grpc-js';
import { csi } from '@naru/proto';
import type { KubeApi } from './kube-api';

/** The controller service of the driver, by its own socket: what any other program would do. */
export class ControllerCalls {
  private readonly client: csi.ControllerClient;

  constructor(endpoint: string) {
    this.client = new csi.ControllerClient(`unix://${endpoint}`, credentials.createInsecure());
  }

  call<A>(method: keyof csi.ControllerClient, request: unknown): Promise<A> {
    type Call = (request: unknown, callback: (error: Error | null, answer: A) => void) => void;
    return new Promise((resolve, reject) =>
      (this.client[method] as unknown as Call).call(this.client, request, (error, answer) =>
        error ? reject(error) : resolve(answer),
      ),
    );
  }

  close(): void {
    this.client.close();
  }
}

export interface ControllerDeps {
  api: KubeApi;
  name: string;
  nodeName: string;
  controller: ControllerCalls;
  log: (message: string) => void;
}

/** Something that reads all it knows anew each time that one of the watched lists changes. */
export interface ControllerLoop {
  readonly watched: readonly string[];
  reconcile(): Promise<void>;
}

export const attachmentsPath = '/apis/storage.k8s.io/v1/volumeattachments';
const relookMs = 5_000;

export async function list<T>(api: KubeApi, path: string): Promise<T[]> {
  return (await api.request<{ items: T[] }>('GET', path)).items;
}

/** Until the signal; never rejects. */
export async function runLoop(loop: ControllerLoop, { api, log }: ControllerDeps, signal: AbortSignal): Promise<void> {
  let wake = (): void => undefined;
  for (const path of loop.watched) void follow(api, path, signal, () => wake());
  while (!signal.aborted) {
    const next = new Promise<void>(resolve => {
      wake = resolve;
      setTimeout(resolve, relookMs).unref();
    });
    await loop.reconcile().catch((error: Error) => log(`not reconciled: ${error.message}`));
    await next;
  }
}

async function follow(api: KubeApi, path: string, signal: AbortSignal, onChange: () => void): Promise<void> {
  while (!signal.aborted) {
    await api.watch(path, signal, onChange).catch(() => undefined);
    await new Promise(resolve => setTimeout(resolve, 500));
  }
}
