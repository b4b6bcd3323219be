import { randomBytes } from 'node:crypto';
import type { KubeObject } from '@naru/api';
import { BoundedMap, formatTime, type Clock } from '@naru/foundation';

export interface EventInput {
  type: 'Normal' | 'Warning';
  /** UpperCamelCase: "FailedScheduling". */
  reason: string;
  message: string;
  /** Such as `spec.containers{web}`. */
  fieldPath?: string;
}

/** One Event object, and how often it was seen: the first time it is created, after that these fields change. */
export interface ObservedEvent {
  namespace: string;
  name: string;
  message: string;
  count: number;
  firstTimestamp: string;
  lastTimestamp: string;
}

/** What one component may say about one object at once, and in the long run: one more every five minutes. */
const burst = 25;
const refillMs = 300_000;
/** Of so many different messages for one reason, within so long of each other, all further ones become one event. */
const maxMessages = 10;
const similarForMs = 600_000;
const maxRemembered = 4_096;
/** In characters. */
const maxMessageLength = 1024;

interface Budget {
  tokens: number;
  at: number;
}

/** The messages that came for one reason. */
interface Similar {
  messages: Set<string>;
  at: number;
}

/**
 * Makes few Events of many: counts what comes again, combines what differs in the message only, and holds back what a component says too
 * often about one object. Figures and wording as the EventCorrelator of client-go has them.
 */
export class EventCorrelator {
  private readonly observed = new BoundedMap<string, ObservedEvent>(maxRemembered);
  private readonly similar = new BoundedMap<string, Similar>(maxRemembered);
  private readonly budgets = new BoundedMap<string, Budget>(maxRemembered);

  /** With `countsOnly` nothing is combined or held back. */
  constructor(
    private readonly clock: Clock,
    private readonly countsOnly = false,
  ) {}

  /** Undefined: enough was said about this object. It is counted still, and told with the next one that passes. */
  observe(about: KubeObject, input: EventInput): ObservedEvent | undefined {
    // What is remembered must not be larger than what is told.
    const message = input.message.slice(0, maxMessageLength);
    const event = this.count(about, this.combine(about, { ...input, message }));
    return this.countsOnly || this.passes(identityOf(about)) ? event : undefined;
  }

  private combine(
    about: KubeObject,
    { type, reason, message, fieldPath }: EventInput,
  ): { key: string; message: string } {
    const group = [identityOf(about), type, reason].join('\n');
    const alone = { key: [group, fieldPath, message].join('\n'), message };
    if (this.countsOnly) return alone;
    const now = this.clock.now();
    const known = this.similar.get(group);
    const similar = known && now - known.at <= similarForMs ? known : { messages: new Set<string>(), at: now };
    similar.at = now;
    this.similar.set(group, similar);
    // The last of the allowed messages is never remembered: it makes the group full each time.
    if (similar.messages.has(message) || similar.messages.size < maxMessages - 1) {
      similar.messages.add(message);
      return alone;
    }
    return { key: group, message: `(combined from similar events): ${message}` };
  }

  private count(about: KubeObject, { key, message }: { key: string; message: string }): ObservedEvent {
    const { name = '', namespace = 'default' } = about.metadata ?? {};
    const now = formatTime(this.clock.now());
    const known = this.observed.get(key) ?? {
      ...{ namespace, name: `${name}.${randomBytes(8).toString('hex')}` },
      ...{ count: 0, firstTimestamp: now },
    };
    const event = { ...known, message: message.slice(0, maxMessageLength), count: known.count + 1, lastTimestamp: now };
    this.observed.set(key, event);
    return event;
  }

  private passes(identity: string): boolean {
    const now = this.clock.now();
    const { tokens, at } = this.budgets.get(identity) ?? { tokens: burst, at: now };
    // The clock of a machine may be set back.
    const filled = Math.min(burst, tokens + Math.max(0, now - at) / refillMs);
    const passes = filled >= 1;
    this.budgets.set(identity, { tokens: passes ? filled - 1 : filled, at: now });
    return passes;
  }
}

function identityOf({ apiVersion, kind, metadata }: KubeObject): string {
  return [apiVersion, kind, metadata?.namespace, metadata?.name, metadata?.uid].join('\n');
}
