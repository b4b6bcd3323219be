import type { Logger } from '@naru/foundation';
import { rcodes } from '../wire/codes';
import { readQuery, type Query } from '../wire/query';
import { udpLimit, writeRefusal, writeResponse } from '../wire/response';
import type { Resolution, Resolver } from './resolver';

export type Protocol = 'udp' | 'tcp';
/** As upstream's metrics call the families. */
export type Family = '1' | '2';

/** What happened to one packet. */
export interface Exchange {
  protocol: Protocol;
  family: Family;
  type: number;
  rcode: number;
  source: Resolution['source'] | '';
  requestBytes: number;
  responseBytes: number;
  seconds: number;
}

export interface HandlerDeps {
  resolver: Resolver;
  observe: (exchange: Exchange) => void;
  logger: Logger;
  /** Questions that may wait for other servers; more are refused. */
  maxWaiting: number;
}

export interface Origin {
  protocol: Protocol;
  family: Family;
}

const maxTcpMessage = 65_535;
/** One complaint about ourselves in this time is enough. */
const complaintIntervalMs = 1_000;

/** From packet to packet. Whatever comes in, it does not throw. */
export class Handler {
  waiting = 0;
  panics = 0;
  private turn = 0;
  private complainedAt = 0;

  constructor(private readonly deps: HandlerDeps) {}

  /** Calls `reply` at most once, now or later. */
  handle(packet: Buffer, origin: Origin, reply: (message: Buffer) => void): void {
    const from = performance.now();
    try {
      const query = readQuery(packet);
      if (query === undefined) return;
      if ('rcode' in query) {
        const message = writeRefusal(packet, query);
        this.finish(packet, origin, 0, query.rcode, '', message, from, reply);
        return;
      }
      const resolved = this.deps.resolver.resolve({
        name: query.name,
        type: query.type,
        dnssecOk: query.edns?.dnssecOk ?? false,
        checkingDisabled: query.checkingDisabled,
      });
      if (resolved instanceof Promise) this.wait(packet, query, origin, resolved, from, reply);
      else this.answer(packet, query, origin, resolved, from, reply);
    } catch (error) {
      this.complain(error);
    }
  }

  private wait(
    packet: Buffer,
    query: Query,
    origin: Origin,
    resolved: Promise<Resolution>,
    from: number,
    reply: (message: Buffer) => void,
  ): void {
    const fail = (rcode: number): void => {
      const message = writeRefusal(packet, { rcode, questionEnd: query.questionEnd, edns: query.edns !== undefined });
      this.finish(packet, origin, query.type, rcode, '', message, from, reply);
    };
    if (this.waiting >= this.deps.maxWaiting) {
      resolved.catch(error => this.complain(error));
      return fail(rcodes.REFUSED);
    }
    this.waiting++;
    resolved
      .then(resolution => this.answer(packet, query, origin, resolution, from, reply))
      .catch((error: unknown) => {
        this.complain(error);
        fail(rcodes.SERVFAIL);
      })
      .catch((error: unknown) => this.complain(error))
      .finally(() => this.waiting--);
  }

  private answer(
    packet: Buffer,
    query: Query,
    origin: Origin,
    { answer, age, source }: Resolution,
    from: number,
    reply: (message: Buffer) => void,
  ): void {
    const limit = origin.protocol === 'udp' ? udpLimit(query) : maxTcpMessage;
    this.turn = (this.turn + 1) & 0xffffff;
    const message = writeResponse(packet, query, answer, { limit, age, turn: this.turn });
    this.finish(packet, origin, query.type, answer.rcode, source, message, from, reply);
  }

  private finish(
    packet: Buffer,
    { protocol, family }: Origin,
    type: number,
    rcode: number,
    source: Exchange['source'],
    message: Buffer,
    from: number,
    reply: (message: Buffer) => void,
  ): void {
    reply(message);
    this.deps.observe({
      protocol,
      family,
      type,
      rcode,
      source,
      requestBytes: packet.length,
      responseBytes: message.length,
      seconds: (performance.now() - from) / 1000,
    });
  }

  private complain(err: unknown): void {
    this.panics++;
    if (Date.now() - this.complainedAt < complaintIntervalMs) return;
    this.complainedAt = Date.now();
    this.deps.logger.error({ err }, 'answering failed');
  }
}
