import { connect as dial } from 'node:net';
import { ServerProcess, freePort } from '@naru/foundation/testing';

/** A real nats-server with JetStream on loopback, for tests. It can be killed and started again on the same port. */
export class NatsTestServer {
  private readonly process = new ServerProcess('nats-server');

  private constructor(readonly port: number) {}

  static async start(): Promise<NatsTestServer> {
    const server = new NatsTestServer(await freePort());
    await server.start();
    return server;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Resolves when it answers. */
  start(): Promise<void> {
    const args = ['-a', '127.0.0.1', '-p', String(this.port), '-js', '-sd', this.process.directory];
    return this.process.start(args, () => reachable(this.port));
  }

  /** Ends it at once, as a crash would. */
  kill(): Promise<void> {
    return this.process.kill();
  }

  stop(): Promise<void> {
    return this.process.stop();
  }
}

function reachable(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = dial(port, '127.0.0.1');
    socket.once('connect', () => resolve(void socket.destroy()));
    socket.once('error', reject);
  });
}
