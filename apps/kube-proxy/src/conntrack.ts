import { hostPort } from '@naru/foundation';
import { CommandError, type CommandRunner } from './command';
import type { IpFamily } from './desired/ip-family';
import {
  endpointKey,
  isExternal,
  outsideIps,
  type Endpoint,
  type PortChange,
  type ServicePort,
} from './desired/service-port';

/**
 * Selects tracked UDP flows. UDP has no connections, so a client that keeps its port keeps its flow, and with it the
 * endpoint that was chosen when the flow began, though it may be gone.
 */
export interface FlowFilter {
  /** Where the client sent to; absent: any address, for node ports. */
  originalAddress?: string;
  originalPort: number;
  /** The endpoint that it was translated to; absent: any. */
  endpoint?: { address: string; port: number };
}

/** The flows that must end after `changes`: those to endpoints that left, and those begun while there was none. */
export function flowsToEnd(changes: readonly PortChange[]): FlowFilter[] {
  return changes.flatMap(({ before, after }) => {
    const port = after ?? before;
    if (port?.protocol !== 'udp') return [];
    const now = after ? endpointsOf(after) : new Map<string, Endpoint>();
    const then = before ? endpointsOf(before) : new Map<string, Endpoint>();
    const filters: FlowFilter[] = [];
    if (before) {
      for (const [key, { address, port: number }] of then) {
        if (!now.has(key))
          filters.push(...placesOf(before).map(place => ({ ...place, endpoint: { address, port: number } })));
      }
    }
    if (after && now.size > 0 && then.size === 0) filters.push(...placesOf(after));
    return filters;
  });
}

/** One line of `conntrack -L -p udp`: original direction first, then the answer's. */
const flowLine =
  /src=\S+ dst=(?<address>\S+) sport=\d+ dport=(?<port>\d+) .*?src=(?<replyAddress>\S+) dst=\S+ sport=(?<replyPort>\d+)/;

/** Of all tracked UDP flows, given as `conntrack -L` prints them, those to a port of ours but to none of its endpoints. */
export function staleFlows(listing: string, ports: Iterable<ServicePort>): FlowFilter[] {
  const served = new Map<string, Set<string>>();
  for (const port of ports) {
    if (port.protocol !== 'udp') continue;
    const endpoints = new Set(endpointsOf(port).keys());
    for (const { originalAddress = '', originalPort } of placesOf(port)) {
      served.set(hostPort(originalAddress, originalPort), endpoints);
    }
  }
  if (served.size === 0) return [];
  const stale = new Map<string, FlowFilter>();
  for (const line of listing.split('\n')) {
    const { address, port, replyAddress, replyPort } = flowLine.exec(line)?.groups ?? {};
    if (!address || !port || !replyAddress || !replyPort) continue;
    const byAddress = served.get(hostPort(address, Number(port)));
    // The number of a node port means nothing on addresses of others: there only what was translated is ours.
    const endpoints = byAddress ?? (replyAddress === address ? undefined : served.get(`:${port}`));
    if (!endpoints || endpoints.has(hostPort(replyAddress, Number(replyPort)))) continue;
    stale.set(`${address}:${port} ${replyAddress}:${replyPort}`, {
      originalAddress: address,
      originalPort: Number(port),
      endpoint: { address: replyAddress, port: Number(replyPort) },
    });
  }
  return [...stale.values()];
}

export async function listUdpFlows(run: CommandRunner, family: IpFamily): Promise<string> {
  return run('conntrack', ['-L', '-f', family.toLowerCase(), '-p', 'udp']);
}

/** Ends the flows; it is no failure when there are none. */
export async function endFlows(run: CommandRunner, family: IpFamily, filters: readonly FlowFilter[]): Promise<void> {
  for (const { originalAddress, originalPort, endpoint } of filters) {
    const args = ['-D', '-f', family.toLowerCase(), '-p', 'udp', '--orig-port-dst', String(originalPort)];
    if (originalAddress !== undefined) args.push('--orig-dst', originalAddress);
    if (endpoint) args.push('--reply-src', endpoint.address, '--reply-port-src', String(endpoint.port));
    try {
      await run('conntrack', args);
    } catch (error) {
      const nothing = error instanceof CommandError && error.exitCode === 1 && error.stderr.includes('0 flow entries');
      if (!nothing) throw error;
    }
  }
}

function placesOf(port: ServicePort): FlowFilter[] {
  const places: FlowFilter[] = [port.clusterIp, ...outsideIps(port)].map(originalAddress => ({
    originalAddress,
    originalPort: port.port,
  }));
  if (port.nodePort !== undefined) places.push({ originalPort: port.nodePort });
  return places;
}

function endpointsOf(port: ServicePort): Map<string, Endpoint> {
  const lists = port.internalPolicy === 'cluster' || isExternal(port) ? [port.clusterEndpoints] : [];
  return new Map([...lists, port.localEndpoints].flat().map(endpoint => [endpointKey(endpoint), endpoint]));
}
