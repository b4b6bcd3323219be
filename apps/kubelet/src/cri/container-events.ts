import type { Clock, Logger } from '@naru/foundation';
import { cri } from '@naru/proto';
import { CriError, type CriClient } from './cri-client';
import type { RuntimeEvent } from '../pods/runtime-state';
import { labelNames } from './labels';

export interface ContainerEventsDeps {
  client: CriClient;
  clock: Clock;
  logger: Logger;
  /** Something happened to this pod; without an event nobody knows what. */
  onPod: (uid: string, event?: RuntimeEvent) => void;
  /** The stream broke or began: anything may have happened. */
  onGap: () => void;
  relistMs?: number;
}

/** The safety net under the event stream; and the means for runtimes without one (upstream's generic PLEG: 1 s). */
const relistWithEventsMs = 60_000;
const relistWithoutEventsMs = 1_000;
const reconnectMs = 200;
const types: readonly (RuntimeEvent['type'] | undefined)[] = ['created', 'started', 'stopped', 'deleted'];

/** Tells which pods' containers have changed, from the runtime's events and by looking now and then. */
export class ContainerEvents {
  private streaming = true;
  private readonly states = new Map<string, string>();

  constructor(private readonly deps: ContainerEventsDeps) {}

  /** Until the signal; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.follow(signal), this.relist(signal)]);
  }

  private async follow(signal: AbortSignal): Promise<void> {
    const { client, clock, logger, onGap } = this.deps;
    while (!signal.aborted) {
      try {
        await client.containerEvents(event => this.take(event), signal);
      } catch (err) {
        if (err instanceof CriError && err.unimplemented) {
          this.streaming = false;
          logger.warn('the runtime has no container events, listing every second');
          return;
        }
        if (!signal.aborted) logger.warn({ err }, 'container events broke off');
      }
      await clock.sleep(reconnectMs, signal).catch(() => undefined);
      if (!signal.aborted) onGap();
    }
  }

  private take(event: cri.ContainerEventResponse): void {
    const uid = event.podSandboxStatus?.metadata?.uid ?? event.containersStatuses[0]?.labels[labelNames.podUid];
    const type = types[event.containerEventType];
    if (uid) this.deps.onPod(uid, type && { id: event.containerId, type });
    else this.deps.onGap();
  }

  private async relist(signal: AbortSignal): Promise<void> {
    const { clock, logger, relistMs } = this.deps;
    while (!signal.aborted) {
      const waitMs = relistMs ?? (this.streaming ? relistWithEventsMs : relistWithoutEventsMs);
      // A runtime without events says so only after the first call: do not sleep over it.
      for (let slept = 0; slept < waitMs && (this.streaming || slept < relistWithoutEventsMs); slept += 1_000) {
        await clock.sleep(Math.min(1_000, waitMs), signal).catch(() => undefined);
        if (signal.aborted) return;
      }
      try {
        await this.compare();
      } catch (err) {
        logger.warn({ err }, 'containers not listed');
      }
    }
  }

  /** Lists everything and tells of the pods where something differs from the list before. */
  private async compare(): Promise<void> {
    const { client, onPod } = this.deps;
    const [sandboxes, containers] = await Promise.all([client.listPodSandboxes(), client.listContainers()]);
    const seen = new Set<string>();
    const changed = new Set<string>();
    for (const { id, state, labels } of [...sandboxes, ...containers]) {
      const uid = labels[labelNames.podUid] ?? '';
      const text = `${state}/${uid}`;
      seen.add(id);
      if (this.states.get(id) !== text) changed.add(uid);
      this.states.set(id, text);
    }
    for (const [id, text] of this.states) {
      if (seen.has(id)) continue;
      this.states.delete(id);
      changed.add(text.split('/')[1] as string);
    }
    for (const uid of changed) if (uid) onPod(uid);
  }
}
