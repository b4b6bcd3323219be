import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A way to a port of this machine that can be long, and can be cut. */
export class Link {
  private readonly ends = new Set<net.Socket>();
  private isCut = false;

  private constructor(
    private readonly server: net.Server,
    readonly port: number,
  ) {}

  /** `delayMs`: how long what comes back takes. */
  static async to(target: number, delayMs = 0): Promise<Link> {
    const server = net.createServer();
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const link = new Link(server, (server.address() as net.AddressInfo).port);
    server.on('connection', near => link.join(near, target, delayMs));
    return link;
  }

  /** Ends all connections, and lets no new ones through. */
  cut(): void {
    this.isCut = true;
    for (const end of this.ends) end.destroy();
  }

  heal(): void {
    this.isCut = false;
  }

  close(): void {
    this.cut();
    this.server.close();
  }

  private join(near: net.Socket, target: number, delayMs: number): void {
    if (this.isCut) return void near.destroy();
    const far = net.connect(target, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.ends.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.ends.delete(one);
        other.destroy();
      });
    }
    near.pipe(far);
    if (delayMs === 0) return void far.pipe(near);
    let last: Promise<unknown> = Promise.resolve();
    far.on('data', part => {
      // Late, and in order all the same.
      last = Promise.all([last, sleep(delayMs)]).then(() => near.write(part));
    });
  }
}
