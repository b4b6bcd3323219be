import type { CommandRunner } from '../command';
import type { Peer } from './peer';

/** Lines for `ip -batch` and `bridge -batch`. */
export interface Batch {
  ip: string[];
  bridge: string[];
}

/** The interface that has the node's own address. */
export interface Uplink {
  name: string;
  mtu: number;
}

export interface BackendDeps {
  run: CommandRunner;
  nodeIp: string;
  vxlan: { id: number; port: number };
}

/** One way of bringing packets to the pods of other nodes. */
export interface PodNetworkBackend {
  readonly name: 'vxlan' | 'host-gw';
  /** How many bytes it takes off the uplink's MTU. */
  readonly overhead: number;
  /** Makes what it needs on this node, or leaves it when it is there and right. */
  prepare(uplink: Uplink, podCidr: string): Promise<void>;
  /** What makes a node's pods reachable. Harmless when they are already. */
  add(peer: Peer): Batch;
  /** The reverse. Its lines must be harmless when there is nothing to remove. */
  remove(peer: Pick<Peer, 'nodeIp' | 'podCidr'>): Batch;
  /** What is in the kernel from now or before, as nodes: some of them may be gone. */
  list(): Promise<Pick<Peer, 'nodeIp' | 'podCidr'>[]>;
  cleanup(): Promise<void>;
}

/** The number in a route's protocol field by which we know our routes; not in the kernel's list of routing daemons. */
export const routeProtocol = 78;

interface RouteJson {
  dst: string;
  gateway?: string;
  dev: string;
}

/** Our routes in the kernel. */
export async function listRoutes(run: CommandRunner): Promise<RouteJson[]> {
  const text = await run('ip', ['-json', '-4', 'route', 'show', 'proto', String(routeProtocol)]);
  return parseJson<RouteJson>(text).map(route => ({
    ...route,
    dst: route.dst.includes('/') ? route.dst : `${route.dst}/32`,
  }));
}

/** `ip -json` prints nothing, or `[{}]`, for an empty list. */
export function parseJson<T extends object>(text: string): T[] {
  if (text.trim() === '') return [];
  return (JSON.parse(text) as T[]).filter(item => Object.keys(item).length > 0);
}

export async function findUplink(run: CommandRunner, nodeIp: string): Promise<Uplink> {
  interface AddressJson {
    ifname: string;
    mtu: number;
    addr_info?: { local?: string }[];
  }
  const links = parseJson<AddressJson>(await run('ip', ['-json', '-4', 'addr', 'show']));
  const link = links.find(({ addr_info: addresses = [] }) => addresses.some(({ local }) => local === nodeIp));
  if (!link) throw new Error(`the node's address ${nodeIp} is on no interface of this node`);
  return { name: link.ifname, mtu: link.mtu };
}
