import { setTimeout as pause } from 'node:timers/promises';
import type { NatsConnection } from 'nats';

const closeTimeoutMs = 1_000;

/** Closes a connection to the bus. That waits for a reconnect that is under way, which need not end: it is not waited for. */
export async function closeBus(connection: NatsConnection | undefined): Promise<void> {
  await Promise.race([connection?.close(), pause(closeTimeoutMs, undefined, { ref: false })]);
}
