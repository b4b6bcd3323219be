import { cri } from '@naru/proto';
import type { Clock, Logger } from '@naru/foundation';
import { CriError, type CriClient } from '../cri/cri-client';
import { Nudge } from '../nudge';
import type { PodWorkers } from '../pods/pod-workers';
import type { CpuManager } from './cpu-manager';

export interface SharedCpusDeps {
  cpus: CpuManager;
  client: Pick<CriClient, 'updateContainerResources'>;
  workers: () => PodWorkers;
  clock: Clock;
  logger: Logger;
  /** cpuManagerReconcilePeriod. */
  periodMs: number;
}

/** Moves running containers to the processors that they may use when others have been given some, or have given them back. */
export class SharedCpus {
  /** Container → what it was told last. */
  private told = new Map<string, string>();
  private readonly pause = new Nudge();

  constructor(private readonly deps: SharedCpusDeps) {}

  /** The processors of some container have changed. */
  poke(): void {
    this.pause.nudge();
  }

  async run(signal: AbortSignal): Promise<void> {
    if (!this.deps.cpus.isStatic) return;
    while (!signal.aborted) {
      await this.settle();
      await this.pause.wait(this.deps.periodMs, this.deps.clock, signal);
    }
  }

  private async settle(): Promise<void> {
    const { cpus, client, workers, logger } = this.deps;
    const told = new Map<string, string>();
    for (const worker of workers().list()) {
      for (const { id, name, phase } of worker.lastRuntime.containers) {
        if (phase !== 'running') continue;
        const cpusetCpus = cpus.cpusOf(worker.uid, name);
        try {
          if (this.told.get(id) !== cpusetCpus)
            await client.updateContainerResources(id, cri.LinuxContainerResources.fromPartial({ cpusetCpus }));
          told.set(id, cpusetCpus);
        } catch (err) {
          // It is tried again after the period, unless the container has just gone.
          if (!(err instanceof CriError && err.notFound)) logger.warn({ err, container: id }, 'CPUs not changed');
        }
      }
    }
    this.told = told;
  }
}
