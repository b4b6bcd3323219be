import { existsSync } from 'node:fs';
import { addressBits, type IpFamily } from '@naru/foundation';
import type { CommandRunner } from '../command';
import type { Peer, PeerTraces } from './peer';

/** Lines for `ip -4 -batch`, `ip -6 -batch` and `bridge -batch`. */
export interface Batch {
  ip: Record<IpFamily, string[]>;
  bridge: string[];
}

/** The interface that has the node's own address. */
export interface Uplink {
  name: string;
  mtu: number;
}

export interface BackendDeps {
  run: CommandRunner;
  /** The first is the one that tunnels end at. */
  nodeIps: readonly string[];
  vxlan: { id: number; port: number };
}

/** One way of bringing packets to the pods of other nodes. */
export interface PodNetworkBackend {
  readonly name: 'vxlan' | 'host-gw';
  /** How many bytes it takes off the uplink's MTU. */
  readonly overhead: number;
  /** Makes what it needs on this node, or leaves it when it is there and right. */
  prepare(uplink: Uplink, podCidrs: readonly string[]): Promise<void>;
  /** What makes a node's pods reachable. Harmless when they are already. */
  add(peer: Peer): Batch;
  /** The reverse. Its lines must be harmless when there is nothing to remove. */
  remove(peer: PeerTraces): Batch;
  /** What is in the kernel from now or before: some of its nodes may be gone. */
  list(): Promise<PeerTraces[]>;
  cleanup(): Promise<void>;
}

export function emptyBatch(): Batch {
  return { ip: { 4: [], 6: [] }, bridge: [] };
}

/** Those that this kernel has. */
export const families: readonly IpFamily[] = existsSync('/proc/sys/net/ipv6') ? [4, 6] : [4];

/** The number in a route's protocol field by which we know our routes; not in the kernel's list of routing daemons. */
export const routeProtocol = 78;

interface RouteJson {
  dst: string;
  gateway?: string;
  dev: string;
}

/** Our routes in the kernel. */
export async function listRoutes(run: CommandRunner): Promise<RouteJson[]> {
  const all = await Promise.all(
    families.map(async family => {
      const text = await run('ip', ['-json', `-${family}`, 'route', 'show', 'proto', String(routeProtocol)]);
      const host = `/${addressBits[family]}`;
      return parseJson<RouteJson>(text).map(route => ({
        ...route,
        dst: route.dst.includes('/') ? route.dst : route.dst + host,
      }));
    }),
  );
  return all.flat();
}

export async function flushRoutes(run: CommandRunner): Promise<void> {
  for (const family of families) await run('ip', [`-${family}`, 'route', 'flush', 'proto', String(routeProtocol)]);
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
  const links = parseJson<AddressJson>(await run('ip', ['-json', 'addr', 'show']));
  const link = links.find(({ addr_info: addresses = [] }) => addresses.some(({ local }) => local === nodeIp));
  if (!link) throw new Error(`the node's address ${nodeIp} is on no interface of this node`);
  return { name: link.ifname, mtu: link.mtu };
}
