import { coreEvents, type CoreEvent, type KubeObject } from '@naru/api';
import { isReason, systemClock, type Clock, type Logger } from '@naru/foundation';
import { EventCorrelator, type EventInput, type ObservedEvent } from './event-correlator';
import type { ObjectsClient } from './objects-client';

export interface EventRecorderOptions {
  client: ObjectsClient;
  logger: Logger;
  /** Reported as the source, e.g. "kubelet". */
  component: string;
  /** The node, for components that run on one. */
  host?: string;
  clock?: Clock;
  /** For the scheduler, which upstream lets tell every new reason why a pod waits: see EventCorrelator. */
  countsOnly?: boolean;
}

/** Events in flight; more are dropped, as upstream drops them: an event is a courtesy, never a need. */
const maxInFlight = 256;

/** Writes Events about objects; the same event again only raises the count of the first. Never fails and never blocks. */
export class EventRecorder {
  private readonly correlator: EventCorrelator;
  /** Of events on their way, by name: the next change of one waits for it. */
  private readonly writes = new Map<string, Promise<void>>();
  private inFlight = 0;

  constructor(private readonly options: EventRecorderOptions) {
    this.correlator = new EventCorrelator(options.clock ?? systemClock, options.countsOnly);
  }

  record(about: KubeObject, input: EventInput): void {
    if (this.inFlight >= maxInFlight) return;
    const event = this.correlator.observe(about, input);
    if (!event) return;
    this.inFlight++;
    const write = (this.writes.get(event.name) ?? Promise.resolve())
      .then(() => this.write(about, input, event))
      .catch((err: unknown) => this.options.logger.debug({ err, reason: input.reason }, 'event not recorded'))
      .finally(() => {
        this.inFlight--;
        if (this.writes.get(event.name) === write) this.writes.delete(event.name);
      });
    this.writes.set(event.name, write);
  }

  private async write(about: KubeObject, input: EventInput, event: ObservedEvent): Promise<void> {
    const { client } = this.options;
    if (event.count > 1) {
      const { count, message, lastTimestamp } = event;
      try {
        await client.patch(coreEvents, event, { type: 'merge', body: { count, message, lastTimestamp } });
        return;
      } catch (error) {
        // Events expire, and of the first ones some may have been held back.
        if (!isReason(error, 'NotFound')) throw error;
      }
    }
    await client.create(coreEvents, this.compose(about, input, event));
  }

  private compose(about: KubeObject, { type, reason, fieldPath }: EventInput, event: ObservedEvent): CoreEvent {
    const { component, host } = this.options;
    const { name, namespace, uid, resourceVersion } = about.metadata ?? {};
    const { namespace: eventNamespace, name: eventName, ...seen } = event;
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: eventName, namespace: eventNamespace },
      involvedObject: {
        apiVersion: about.apiVersion,
        kind: about.kind,
        name,
        namespace,
        uid,
        resourceVersion,
        fieldPath,
      },
      type,
      reason,
      source: { component, host },
      reportingComponent: component,
      reportingInstance: host ?? '',
      ...seen,
    };
  }
}
