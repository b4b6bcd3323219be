import dgram from 'node:dgram';
import { hostPort } from '@naru/foundation';
import { isIpv6 } from '../../desired/ip-family';
import type { Lease } from './balancer';
import type { Listener, ListenerDeps } from './listener';

/** A client that has been silent for so long begins anew; upstream's default (--proxy-udp-timeout). */
const idleMs = 250_000;
const maxFlows = 10_000;

interface Flow {
  lease: Lease;
  socket: dgram.Socket;
  timer: NodeJS.Timeout;
}

/** Listens and gives each client a socket of its own towards an endpoint, so that answers find their way back. */
export async function listenUdp({ address, port, balancer, admits }: ListenerDeps): Promise<Listener> {
  const flows = new Map<string, Flow>();
  // Without ipv6Only the node port of the one family would be the other's too.
  const server = dgram.createSocket({ type: socketType(address), ipv6Only: isIpv6(address) });
  const end = (key: string): void => {
    const flow = flows.get(key);
    if (!flow) return;
    flows.delete(key);
    clearTimeout(flow.timer);
    flow.lease.release();
    flow.socket.close();
  };
  const begin = (key: string, from: dgram.RemoteInfo): Flow | undefined => {
    const lease = admits(from.address) ? balancer.choose(from.address) : undefined;
    if (!lease) return undefined;
    if (flows.size >= maxFlows) end(flows.keys().next().value as string);
    const socket = dgram.createSocket(socketType(lease.endpoint.address));
    socket.on('message', answer => server.send(answer, from.port, from.address));
    socket.on('error', () => end(key));
    socket.connect(lease.endpoint.port, lease.endpoint.address);
    const flow = { lease, socket, timer: setTimeout(() => end(key), idleMs) };
    flow.timer.unref();
    flows.set(key, flow);
    return flow;
  };
  server.on('message', (message, from) => {
    const key = hostPort(from.address, from.port);
    const known = flows.get(key);
    const flow = known ?? begin(key, from);
    if (!flow) return;
    flow.timer.refresh();
    if (known && isConnected(flow.socket)) flow.socket.send(message);
    else flow.socket.once('connect', () => flow.socket.send(message));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.bind({ address, port, exclusive: true }, () => resolve());
  });
  server.on('error', () => undefined);
  return {
    forget(isGone) {
      for (const [key, { lease }] of flows) if (isGone(lease.endpoint)) end(key);
    },
    close() {
      for (const key of flows.keys()) end(key);
      return new Promise(resolve => server.close(() => resolve()));
    },
  };
}

function socketType(address: string): 'udp4' | 'udp6' {
  return isIpv6(address) ? 'udp6' : 'udp4';
}

function isConnected(socket: dgram.Socket): boolean {
  try {
    return socket.remoteAddress() !== undefined;
  } catch {
    return false;
  }
}
