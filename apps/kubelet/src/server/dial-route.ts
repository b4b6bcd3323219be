import net, { type Socket } from 'node:net';
import { hostPort, StatusError } from '@naru/foundation';
import type { PodWorkers } from '../pods/pod-workers';
import type { Routes, UpgradeExchange } from './kubelet-server';

const connectTimeoutMs = 10_000;

/**
 * `POST /dial/IP/PORT` with `Upgrade: tcp` is a connection to a pod of this node. The api-server has no way of its own into
 * the pod network; its proxies and webhook calls come through here.
 */
export class DialRoute {
  readonly upgrades: Routes<UpgradeExchange> = { dial: exchange => this.dial(exchange) };

  constructor(private readonly deps: { workers: PodWorkers }) {}

  private async dial({ parts, socket, head }: UpgradeExchange): Promise<void> {
    const [address = '', portText = ''] = parts;
    const port = Number(portText);
    if (!Number.isInteger(port) || port < 1 || port > 65_535)
      throw new StatusError('BadRequest', `invalid port "${portText}"`);
    if (!this.isPod(address)) throw new StatusError('NotFound', `no pod of this node has the address "${address}"`);
    const pod = await connect(address, port);
    const drop = (): void => {
      pod.destroy();
      socket.destroy();
    };
    for (const side of [pod, socket]) side.on('error', drop).on('close', drop);
    if (socket.destroyed) return drop();
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n');
    if (head.length > 0) pod.write(head);
    socket.pipe(pod);
    pod.pipe(socket);
  }

  /** Nothing else can be reached: neither the node itself nor the world behind it. */
  private isPod(address: string): boolean {
    return this.deps.workers
      .list()
      .some(({ current: { status } }) => status?.podIPs?.some(({ ip }) => ip === address) ?? false);
  }
}

function connect(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, noDelay: true, timeout: connectTimeoutMs });
    const fail = (why: string, cause?: Error): void => {
      socket.destroy();
      reject(new StatusError('ServiceUnavailable', `dial tcp ${hostPort(host, port)}: ${why}`, { cause }));
    };
    socket.once('connect', () => {
      socket.setTimeout(0);
      resolve(socket);
    });
    socket.once('timeout', () => fail('i/o timeout'));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      fail(error.code === 'ECONNREFUSED' ? 'connect: connection refused' : error.message, error),
    );
  });
}
