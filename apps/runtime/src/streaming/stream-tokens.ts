import { randomBytes } from 'node:crypto';
import { StatusError, type Clock } from '@naru/foundation';

const lifetimeMs = 60_000;
const maxOutstanding = 1_000;

/** One-time secrets in streaming addresses: whoever has one may connect once, within a minute. */
export class StreamTokens<T> {
  readonly #entries = new Map<string, { value: T; expiresMs: number }>();

  constructor(private readonly clock: Clock) {}

  /** Throws TooManyRequests while too many are waiting to be used. */
  issue(value: T): string {
    const now = this.clock.now();
    for (const [token, entry] of this.#entries) if (entry.expiresMs <= now) this.#entries.delete(token);
    if (this.#entries.size >= maxOutstanding)
      throw new StatusError('TooManyRequests', 'too many streaming requests are outstanding');
    const token = randomBytes(24).toString('base64url');
    this.#entries.set(token, { value, expiresMs: now + lifetimeMs });
    return token;
  }

  /** What a token stands for; undefined when it is unknown, used or too old. */
  redeem(token: string): T | undefined {
    const entry = this.#entries.get(token);
    this.#entries.delete(token);
    return entry && entry.expiresMs > this.clock.now() ? entry.value : undefined;
  }
}
