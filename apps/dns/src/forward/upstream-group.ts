import { randomInt } from 'node:crypto';
import { rcodes } from '../wire/codes';
import type { ReadAnswer } from '../wire/read-answer';
import type { Question } from './question';
import type { Upstream } from './upstream';

const attemptTimeoutMs = 2_000;
/** When no server is well, it is worth a try, but nobody should wait long. */
const desperateTimeoutMs = 1_000;
const deadlineMs = 5_000;

export interface UpstreamGroupDeps {
  upstreams: readonly Upstream[];
  now: () => number;
  /** Called for each question that was asked; code is absent when there was no answer. */
  observe: (upstream: string, rcode: number | undefined, seconds: number) => void;
}

/** Servers that answer the same questions: one at random is asked, then the next. */
export class UpstreamGroup {
  constructor(private readonly deps: UpstreamGroupDeps) {}

  get upstreams(): readonly Upstream[] {
    return this.deps.upstreams;
  }

  /** Rejects when no server answers before the deadline. */
  async ask(question: Question): Promise<ReadAnswer> {
    const deadline = this.deps.now() + deadlineMs;
    let unwilling: ReadAnswer | undefined;
    let failure = new Error('there is no upstream server');
    for (const { upstream, timeoutMs } of this.attempts()) {
      const left = deadline - this.deps.now();
      if (left <= 0) break;
      try {
        const answer = await this.measure(upstream, question, Math.min(timeoutMs, left));
        if (!isUnwilling(answer.rcode)) return answer;
        unwilling = answer;
      } catch (error) {
        failure = error as Error;
      }
    }
    if (unwilling) return unwilling;
    throw failure;
  }

  private attempts(): { upstream: Upstream; timeoutMs: number }[] {
    const { upstreams } = this.deps;
    const healthy = upstreams.filter(upstream => upstream.healthy);
    if (healthy.length === 0) {
      const one = upstreams.length > 0 ? upstreams[randomInt(upstreams.length)] : undefined;
      return one ? [{ upstream: one, timeoutMs: desperateTimeoutMs }] : [];
    }
    const first = randomInt(healthy.length);
    const turned = [...healthy.slice(first), ...healthy.slice(0, first)];
    // A datagram may get lost: a single server is asked twice.
    const order = turned.length === 1 ? [...turned, ...turned] : turned;
    return order.map(upstream => ({ upstream, timeoutMs: attemptTimeoutMs }));
  }

  private async measure(upstream: Upstream, question: Question, timeoutMs: number): Promise<ReadAnswer> {
    const from = this.deps.now();
    let rcode: number | undefined;
    try {
      const answer = await upstream.ask(question, timeoutMs);
      rcode = answer.rcode;
      return answer;
    } finally {
      this.deps.observe(upstream.name, rcode, (this.deps.now() - from) / 1000);
    }
  }
}

/** The server is there but does not answer this: another may. */
function isUnwilling(rcode: number): boolean {
  return rcode === rcodes.SERVFAIL || rcode === rcodes.REFUSED || rcode === rcodes.NOTIMP;
}
