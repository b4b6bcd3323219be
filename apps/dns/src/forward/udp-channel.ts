import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { readAnswer, type ReadAnswer } from '../wire/read-answer';
import { writeQuestion, type Question } from './question';
import type { ServerAddress } from './server-address';

interface Waiting {
  question: Question;
  resolve(answer: ReadAnswer): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

/**
 * A connected UDP socket to one server with the questions that wait on it. The kernel lets through only what comes from
 * that server; id and question must match too. Sockets are changed often, so that their port cannot be learnt.
 */
export class UdpChannel {
  private readonly socket: Socket;
  private readonly waiting = new Map<number, Waiting>();
  private readonly connected: Promise<void>;
  private retired = false;
  private closed = false;
  used = 0;

  constructor(
    readonly server: ServerAddress,
    readonly openedAt: number,
  ) {
    const socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4');
    this.socket = socket;
    socket.on('message', message => this.receive(message));
    // "Connection refused" and its kin: whoever waits need not wait longer.
    socket.on('error', error => this.fail(error));
    this.connected = new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(server.port, server.host, () => {
        socket.removeListener('error', reject);
        resolve();
      });
    });
    this.connected.catch(() => undefined);
    socket.unref();
  }

  get size(): number {
    return this.waiting.size;
  }

  /** Rejects when there is no answer in time. */
  async ask(question: Question, timeoutMs: number): Promise<ReadAnswer> {
    this.used++;
    await this.connected;
    return new Promise((resolve, reject) => {
      let id = randomInt(65_536);
      while (this.waiting.has(id)) id = (id + 1) & 0xffff;
      let last: NodeJS.Immediate | undefined;
      const end = (): void => {
        clearTimeout(timer);
        clearImmediate(last); // the id may be another question's by then
        this.waiting.delete(id);
        if (this.retired && this.waiting.size === 0) this.close();
      };
      const timer = setTimeout(() => {
        // What came while this process was held up is read first: an answer is not late because we are.
        last = setImmediate(() => this.waiting.get(id)?.reject(new Error(`no answer within ${timeoutMs} ms`)));
      }, timeoutMs);
      this.waiting.set(id, {
        question,
        timer,
        resolve: answer => {
          end();
          resolve(answer);
        },
        reject: error => {
          end();
          reject(error);
        },
      });
      if (this.closed) return this.waiting.get(id)?.reject(new Error('the socket was closed'));
      this.socket.send(writeQuestion(id, question), error => {
        if (error) this.waiting.get(id)?.reject(error);
      });
    });
  }

  /** No new questions; closes when the last one is answered. */
  retire(): void {
    this.retired = true;
    if (this.waiting.size === 0) this.close();
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    void this.connected.then(
      () => this.socket.close(),
      () => this.socket.close(),
    );
  }

  private receive(message: Buffer): void {
    const answer = readAnswer(message);
    const waiting = answer && this.waiting.get(answer.id);
    if (!waiting || waiting.question.name !== answer.name || waiting.question.type !== answer.type) return;
    waiting.resolve(answer);
  }

  private fail(error: Error): void {
    for (const waiting of [...this.waiting.values()]) waiting.reject(error);
  }
}
