import { randomBytes } from 'node:crypto';
import { coreEvents, type CoreEvent, type KubeObject } from '@naru/api';
import { formatTime, isReason, systemClock, type Clock, type Logger } from '@naru/foundation';
import type { ObjectsClient } from './objects-client';

export interface EventRecorderOptions {
  client: ObjectsClient;
  logger: Logger;
  /** Reported as the source, e.g. "kubelet". */
  component: string;
  /** The node, for components that run on one. */
  host?: string;
  clock?: Clock;
}

export interface EventInput {
  type: 'Normal' | 'Warning';
  /** UpperCamelCase: "FailedScheduling". */
  reason: string;
  message: string;
  /** Such as `spec.containers{web}`. */
  fieldPath?: string;
}

/** Events in flight; more are dropped, as upstream drops them: an event is a courtesy, never a need. */
const maxInFlight = 256;
const maxRemembered = 2_048;

interface Remembered {
  namespace: string;
  name: string;
  count: number;
}

/** Writes Events about objects; the same event again only raises the count of the first. Never fails and never blocks. */
export class EventRecorder {
  private readonly remembered = new Map<string, Remembered>();
  private inFlight = 0;
  private readonly clock: Clock;

  constructor(private readonly options: EventRecorderOptions) {
    this.clock = options.clock ?? systemClock;
  }

  record(about: KubeObject, input: EventInput): void {
    if (this.inFlight >= maxInFlight) return;
    this.inFlight++;
    this.write(about, input)
      .catch((err: unknown) => this.options.logger.debug({ err, reason: input.reason }, 'event not recorded'))
      .finally(() => this.inFlight--);
  }

  private async write(about: KubeObject, input: EventInput): Promise<void> {
    const { client } = this.options;
    const now = formatTime(this.clock.now());
    const id = [about.metadata?.uid, input.type, input.reason, input.fieldPath, input.message].join('\n');
    const known = this.remembered.get(id);
    if (known) {
      known.count++;
      try {
        await client.patch(coreEvents, known, { type: 'merge', body: { count: known.count, lastTimestamp: now } });
        return;
      } catch (error) {
        // Events expire; then a new one is due.
        if (!isReason(error, 'NotFound')) throw error;
        this.remembered.delete(id);
      }
    }
    const event = this.compose(about, input, now);
    const { namespace, name } = event.metadata as { namespace: string; name: string };
    if (this.remembered.size >= maxRemembered) this.remembered.delete(this.remembered.keys().next().value as string);
    this.remembered.set(id, { namespace, name, count: 1 });
    await client.create(coreEvents, event);
  }

  private compose(about: KubeObject, input: EventInput, now: string): CoreEvent {
    const { component, host } = this.options;
    const { name = '', namespace, uid, resourceVersion } = about.metadata ?? {};
    const eventNamespace = namespace ?? 'default';
    return {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name}.${randomBytes(8).toString('hex')}`, namespace: eventNamespace },
      involvedObject: {
        apiVersion: about.apiVersion,
        kind: about.kind,
        name,
        namespace,
        uid,
        resourceVersion,
        fieldPath: input.fieldPath,
      },
      type: input.type,
      reason: input.reason,
      message: input.message.slice(0, 1024),
      source: { component, host },
      reportingComponent: component,
      reportingInstance: host ?? '',
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    };
  }
}
