import { hostPort } from '@naru/foundation';
import type { Clock, Logger } from '@naru/foundation';
import { types } from '../wire/codes';
import { rootName } from '../wire/name';
import type { ReadAnswer } from '../wire/read-answer';
import { askTcp } from './ask-tcp';
import type { Question } from './question';
import type { ServerAddress } from './server-address';
import { UdpChannel } from './udp-channel';

/** After so many failures in a row a server is left alone until it answers a probe. */
const maxFailures = 2;
const probeIntervalMs = 1_000;
const probeTimeoutMs = 1_000;
/** A socket serves so many questions, and so long. */
const channelQuestions = 512;
const channelLifeMs = 10_000;

const probeQuestion: Question = { name: rootName, type: types.NS, dnssecOk: false, checkingDisabled: false };

export interface UpstreamDeps {
  server: ServerAddress;
  clock: Clock;
  logger: Logger;
  signal: AbortSignal;
}

/** One recursive server, with what we know of its health. */
export class Upstream {
  healthy = true;
  /** Probes that failed, for metrics. */
  probeFailures = 0;
  readonly name: string;
  private failures = 0;
  private channel: UdpChannel | undefined;

  constructor(private readonly deps: UpstreamDeps) {
    const { host, port } = deps.server;
    this.name = hostPort(host, port);
    deps.signal.addEventListener('abort', () => this.retireChannel(), { once: true });
  }

  /** By UDP, and by TCP when the answer does not fit. Rejects when there is none in time. */
  async ask(question: Question, timeoutMs: number): Promise<ReadAnswer> {
    try {
      const answer = await this.exchange(question, timeoutMs);
      this.failures = 0;
      return answer;
    } catch (error) {
      if (++this.failures >= maxFailures && this.healthy) void this.probeUntilHealthy(error as Error);
      throw error;
    }
  }

  private async exchange(question: Question, timeoutMs: number): Promise<ReadAnswer> {
    const answer = await this.currentChannel().ask(question, timeoutMs);
    return answer.truncated ? askTcp(this.deps.server, question, timeoutMs) : answer;
  }

  private currentChannel(): UdpChannel {
    const { clock, server } = this.deps;
    const { channel } = this;
    if (channel && channel.used < channelQuestions && clock.now() - channel.openedAt < channelLifeMs) return channel;
    channel?.retire();
    return (this.channel = new UdpChannel(server, clock.now()));
  }

  private retireChannel(): void {
    this.channel?.retire();
    this.channel = undefined;
  }

  private async probeUntilHealthy(err: Error): Promise<void> {
    const { clock, logger, signal } = this.deps;
    this.healthy = false;
    logger.warn({ err, upstream: this.name }, 'upstream does not answer');
    while (!signal.aborted) {
      await clock.sleep(probeIntervalMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        // A socket that lives on may be stuck on a route that is gone.
        this.retireChannel();
        await this.exchange(probeQuestion, probeTimeoutMs);
        break;
      } catch {
        this.probeFailures++;
      }
    }
    this.failures = 0;
    this.healthy = true;
    logger.info({ upstream: this.name }, 'upstream answers again');
  }
}
