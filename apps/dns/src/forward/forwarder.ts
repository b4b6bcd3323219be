import type { Logger } from '@naru/foundation';
import { encodeAnswer, leastTtl, type Answer, type EncodedAnswer } from '../wire/answer';
import { rcodes, types } from '../wire/codes';
import { isWithin, toText, type Name } from '../wire/name';
import { AnswerCache, type CacheEntry } from './answer-cache';
import { questionKey, type Question } from './question';
import type { UpstreamGroup } from './upstream-group';

/** How long a failure is remembered, and a "no" that does not say how long it holds. */
const failureTtlSeconds = 5;
/** An entry used so often is asked for again when less than a tenth of its time is left. */
const prefetchHits = 10;
const prefetchShare = 0.1;

export interface ForwarderDeps {
  /** For all names that no stub domain holds; without servers they fail. */
  upstreams: UpstreamGroup;
  stubDomains: ReadonlyMap<Name, UpstreamGroup>;
  cache: AnswerCache;
  /** No answer is kept longer, whatever its TTL says; seconds. */
  maxTtl: number;
  /** Questions on their way at one time. */
  maxConcurrent: number;
  /** Milliseconds. */
  now: () => number;
  logger: Logger;
}

/** An answer and for how long we have had it, in seconds. */
export interface Forwarded {
  answer: EncodedAnswer;
  age: number;
  cached: boolean;
}

/** Asks other servers for names that are not the cluster's, and remembers what they say. */
export class Forwarder {
  /** Questions answered from the cache, and not. */
  readonly hits = { success: 0, denial: 0 };
  misses = 0;
  rejected = 0;
  prefetched = 0;
  private readonly flights = new Map<string, Promise<EncodedAnswer>>();
  /** Longest zones first. */
  private readonly stubZones: [Name, UpstreamGroup][];

  constructor(private readonly deps: ForwarderDeps) {
    this.stubZones = [...deps.stubDomains].sort(([a], [b]) => b.length - a.length);
  }

  get inFlight(): number {
    return this.flights.size;
  }

  /** At once when it is known; a promise, which never rejects, when it has to be asked for. */
  lookup(question: Question): Forwarded | Promise<Forwarded> {
    const key = questionKey(question);
    const now = this.deps.now();
    const entry = this.deps.cache.get(key, now);
    if (entry) {
      this.hits[entry.negative ? 'denial' : 'success']++;
      this.prefetch(key, question, entry, now);
      return { answer: entry.answer, age: Math.floor((now - entry.storedAt) / 1000), cached: true };
    }
    this.misses++;
    return this.fly(key, question).then(answer => ({ answer, age: 0, cached: false }));
  }

  private prefetch(key: string, question: Question, entry: CacheEntry, now: number): void {
    if (entry.refreshing || entry.negative || entry.hits < prefetchHits) return;
    if (entry.expiresAt - now > (entry.expiresAt - entry.storedAt) * prefetchShare) return;
    if (this.flights.size >= this.deps.maxConcurrent) return;
    entry.refreshing = true;
    this.prefetched++;
    void this.fly(key, question);
  }

  /** One question of a kind at a time: all who ask meanwhile get its answer. */
  private fly(key: string, question: Question): Promise<EncodedAnswer> {
    const running = this.flights.get(key);
    if (running) return running;
    if (this.flights.size >= this.deps.maxConcurrent) {
      this.rejected++;
      return Promise.resolve(bare(question, rcodes.REFUSED));
    }
    const flight = this.ask(key, question).finally(() => this.flights.delete(key));
    this.flights.set(key, flight);
    return flight;
  }

  private async ask(key: string, question: Question): Promise<EncodedAnswer> {
    try {
      const read = await this.groupOf(question.name).ask(question);
      return this.keep(key, question, { ...read, authoritative: false });
    } catch (err) {
      this.deps.logger.debug({ err, name: toText(question.name), type: question.type }, 'no answer from upstream');
      return this.keep(key, question, {
        rcode: rcodes.SERVFAIL,
        authoritative: false,
        answers: [],
        authority: [],
        additional: [],
      });
    }
  }

  private keep(key: string, question: Question, answer: Answer): EncodedAnswer {
    const { cache, maxTtl, now } = this.deps;
    const ttl = Math.min(maxTtl, lifetime(answer));
    const cap = Math.max(ttl, 1);
    for (const section of [answer.answers, answer.authority, answer.additional])
      for (const record of section) record.ttl = Math.min(record.ttl, cap);
    const encoded = encodeAnswer(question.name, answer);
    const storedAt = now();
    // A TTL of 0 asks not to be kept; a failure must not push out an answer that still holds.
    const known = answer.rcode === rcodes.SERVFAIL ? cache.get(key, storedAt) : undefined;
    if (known) known.refreshing = false;
    else if (ttl > 0)
      cache.set(key, {
        answer: encoded,
        storedAt,
        expiresAt: storedAt + ttl * 1000,
        hits: 0,
        negative: answer.rcode !== rcodes.NOERROR || answer.answers.length === 0,
        refreshing: false,
      });
    return encoded;
  }

  private groupOf(name: Name): UpstreamGroup {
    const stub = this.stubZones.find(([zone]) => isWithin(name, zone));
    return stub ? stub[1] : this.deps.upstreams;
  }
}

/** For how many seconds an answer holds (RFC 2308 for negative ones). */
function lifetime({ rcode, answers, authority }: Answer): number {
  if (rcode !== rcodes.NOERROR && rcode !== rcodes.NXDOMAIN) return failureTtlSeconds;
  if (rcode === rcodes.NOERROR && answers.length > 0) return leastTtl(answers) as number;
  const soa = authority.find(({ type }) => type === types.SOA);
  if (!soa || soa.data.length < 4) return failureTtlSeconds;
  return Math.min(soa.ttl, soa.data.readUInt32BE(soa.data.length - 4));
}

function bare(question: Question, rcode: number): EncodedAnswer {
  return encodeAnswer(question.name, { rcode, authoritative: false, answers: [], authority: [], additional: [] });
}
