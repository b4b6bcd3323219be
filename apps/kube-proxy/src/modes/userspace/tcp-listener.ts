import net from 'node:net';
import { isIpv6 } from '../../desired/ip-family';
import { endpointKey } from '../../desired/service-port';
import type { Listener, ListenerDeps } from './listener';

const connectTimeoutMs = 5_000;
const maxConnections = 10_000;

/** Listens and joins each connection with one to an endpoint; one that refuses is followed by the next. */
export async function listenTcp({ address, port, balancer, admits }: ListenerDeps): Promise<Listener> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ pauseOnConnect: true, allowHalfOpen: true }, client => {
    sockets.add(client);
    client.on('error', () => client.destroy());
    client.once('close', () => sockets.delete(client));
    const from = client.remoteAddress ?? '';
    if (!admits(from)) client.resetAndDestroy();
    else join(client, from, new Set());
  });
  const join = (client: net.Socket, from: string, refused: Set<string>): void => {
    const lease = client.destroyed ? undefined : balancer.choose(from, refused);
    if (!lease) {
      client.resetAndDestroy();
      return;
    }
    const { endpoint, release } = lease;
    const upstream = net.connect({ host: endpoint.address, port: endpoint.port, allowHalfOpen: true });
    upstream.setTimeout(connectTimeoutMs, () => upstream.destroy(new Error('no answer in time')));
    upstream.once('close', release);
    let connected = false;
    upstream.on('error', () => {
      upstream.destroy();
      if (connected) client.destroy();
      else join(client, from, refused.add(endpointKey(endpoint)));
    });
    upstream.once('connect', () => {
      connected = true;
      upstream.setTimeout(0);
      client.once('close', () => upstream.destroy());
      upstream.once('close', () => client.destroySoon());
      client.pipe(upstream);
      upstream.pipe(client);
      client.resume();
    });
  };
  server.maxConnections = maxConnections;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, ipv6Only: isIpv6(address) }, resolve);
  });
  return {
    forget: () => undefined,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
