import { credentials } from '@grpc/grpc-js';
import { csi } from '@naru/proto';
import type { PersistentVolume } from '@naru/api';
import type { KubeApi } from './kube-api';
import { topologyKey } from './services';

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
  /** The one that this runs in. */
  pod: { name: string; uid: string };
  controller: ControllerCalls;
  log: (message: string) => void;
}

/** Something that reads all it knows anew each time that one of the watched lists changes. */
export interface ControllerLoop {
  readonly watched: readonly string[];
  reconcile(): Promise<void>;
}

export const claimsPath = '/api/v1/persistentvolumeclaims';
export const volumesPath = '/api/v1/persistentvolumes';
export const classesPath = '/apis/storage.k8s.io/v1/storageclasses';
export const attachmentsPath = '/apis/storage.k8s.io/v1/volumeattachments';
const relookMs = 5_000;

export async function list<T>(api: KubeApi, path: string): Promise<T[]> {
  return (await api.request<{ items: T[] }>('GET', path)).items;
}

/** Whether a volume is on this node and nowhere else. */
export function isOfNode({ spec }: PersistentVolume, driver: string, nodeName: string): boolean {
  const [term] = spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  const places = term?.matchExpressions?.find(({ key }) => key === topologyKey(driver))?.values;
  return places?.includes(nodeName) ?? false;
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
