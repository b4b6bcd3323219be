import type { Pod, Stored } from '@naru/api';
import type { Logger } from '@naru/foundation';
import type { RuntimeEvent } from './runtime-state';
import { PodWorker } from './pod-worker';
import type { PodWorkerDeps } from './pod-worker-deps';

export interface PodWorkersDeps {
  worker: Omit<PodWorkerDeps, 'onDone'>;
  logger: Logger;
}

/** All pods of this node, each with its worker. */
export class PodWorkers {
  private readonly workers = new Map<string, PodWorker>();
  /** Pods of which the runtime held something when we started. */
  private known: ReadonlySet<string> = new Set();
  private accepting = false;
  private readonly early = new Map<string, Stored<Pod>>();

  constructor(private readonly deps: PodWorkersDeps) {}

  /** Begins to work. Until what the runtime holds is known, pods only wait. */
  begin(knownUids: ReadonlySet<string>): void {
    this.known = knownUids;
    this.accepting = true;
    for (const pod of this.early.values()) this.apply(pod);
    this.early.clear();
  }

  /** A pod of this node is new or has changed. */
  apply(pod: Stored<Pod>): void {
    const { uid } = pod.metadata;
    if (!this.accepting) {
      this.early.set(uid, pod);
      return;
    }
    const worker = this.workers.get(uid);
    if (worker) return worker.update(pod);
    this.add(pod, this.known.has(uid)).notify();
  }

  /** A pod's object is gone. */
  remove(pod: Stored<Pod>): void {
    const { uid } = pod.metadata;
    this.early.delete(uid);
    this.workers.get(uid)?.remove(pod);
  }

  /** A pod that only the runtime knows: it is ended and removed. */
  removeOrphan(pod: Stored<Pod>): void {
    if (this.workers.has(pod.metadata.uid)) return;
    this.add(pod, true).remove(pod);
  }

  notify(uid: string, event?: RuntimeEvent): void {
    if (event) this.workers.get(uid)?.noteEvent(event);
    else this.workers.get(uid)?.notify();
  }

  notifyAll(): void {
    for (const worker of this.workers.values()) worker.notify();
  }

  get(uid: string): PodWorker | undefined {
    return this.workers.get(uid);
  }

  find(namespace: string, name: string): PodWorker | undefined {
    let found: PodWorker | undefined;
    for (const worker of this.workers.values()) {
      const { metadata } = worker.current;
      if (metadata.namespace === namespace && metadata.name === name && !(found && worker.isTerminating))
        found = worker;
    }
    return found;
  }

  /** What the other pods than this one were given of the node. */
  given(uid: string): Pod[] {
    return this.list()
      .filter(worker => worker.usesResources && worker.uid !== uid)
      .map(({ allocated }) => allocated);
  }

  list(): PodWorker[] {
    return [...this.workers.values()];
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.list().map(worker => worker.close()));
  }

  private add(pod: Stored<Pod>, known: boolean): PodWorker {
    const worker = new PodWorker(pod, known, {
      ...this.deps.worker,
      onDone: done => {
        if (this.workers.get(done.uid) === done) this.workers.delete(done.uid);
      },
    });
    this.workers.set(pod.metadata.uid, worker);
    return worker;
  }
}
