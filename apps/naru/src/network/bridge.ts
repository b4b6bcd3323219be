import { existsSync } from 'node:fs';
import { ipv6NodeBits, parseCidr } from '../address';
import type { Cluster } from '../cluster';
import { execute, succeeds } from '../execute';
import { bridgeNamespace, hardwareAddress, hostInterface, nodeNamespace, portName } from './names';

function namespaceExists(name: string): boolean {
  return existsSync(`/run/netns/${name}`);
}

function ipBatch(namespace: string | undefined, lines: string[]): Promise<string> {
  const inside = namespace ? ['-n', namespace] : [];
  return execute(['ip', ...inside, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}

/** The interfaces through which this machine reaches the outside, by family, with the smallest MTU among them. */
export interface Uplinks {
  ipv4: string[];
  ipv6: string[];
  mtu: number;
}

/** The interfaces that default routes of a family lead through. */
async function uplinksOf(family: 4 | 6): Promise<string[]> {
  const routes = JSON.parse((await execute(['ip', '-j', `-${family}`, 'route', 'show', 'default'])) || '[]') as {
    /** Absent of routes that lead somewhere. */
    type?: string;
    dev?: string;
  }[];
  return [...new Set(routes.flatMap(({ type, dev }) => (type === undefined ? (dev ?? []) : [])))];
}

export async function findUplinks(): Promise<Uplinks> {
  const [ipv4, ipv6] = await Promise.all([uplinksOf(4), uplinksOf(6)]);
  const links = JSON.parse(await execute(['ip', '-j', 'link', 'show'])) as { ifname: string; mtu: number }[];
  const mtus = links.filter(({ ifname }) => [...ipv4, ...ipv6].includes(ifname)).map(({ mtu }) => mtu);
  return { ipv4, ipv6, mtu: Math.min(1500, ...mtus) };
}

/** True when bridge, cable and address are all there. */
async function isComplete(cluster: Cluster): Promise<boolean> {
  const cable = hostInterface(cluster);
  if (!namespaceExists(bridgeNamespace(cluster)) || !existsSync(`/sys/class/net/${cable}`)) return false;
  return (await execute(['ip', '-o', '-4', 'address', 'show', 'dev', cable])).includes(` ${cluster.hostAddress}/`);
}

/** Nobody else has these addresses: there is nothing to wait for. */
function ipv6Lines(cluster: Cluster, address: string, device: string): string[] {
  const [, ipv6] = cluster.linkAddresses(address);
  return ipv6 === undefined ? [] : [`address add ${ipv6}/${ipv6NodeBits} dev ${device} nodad`];
}

/** Makes the bridge between the nodes, in a network namespace of its own, and joins the machine to it. Idempotent. */
export async function setUpBridge(cluster: Cluster, mtu: number): Promise<void> {
  if (await isComplete(cluster)) return;
  await tearDownBridge(cluster);
  const bridge = bridgeNamespace(cluster);
  const cable = hostInterface(cluster);
  const { bits } = parseCidr(cluster.settings.nodeCidr);
  await execute(['ip', 'netns', 'add', bridge]);
  await ipBatch(bridge, [`link add br0 mtu ${mtu} type bridge forward_delay 0`, 'link set lo up', 'link set br0 up']);
  await ipBatch(undefined, [
    `link add ${cable} mtu ${mtu} type veth peer name host mtu ${mtu} netns ${bridge}`,
    `address add ${cluster.hostAddress}/${bits} dev ${cable}`,
    ...ipv6Lines(cluster, cluster.hostAddress, cable),
    `link set ${cable} up`,
  ]);
  await ipBatch(bridge, ['link set host master br0 up']);
  // No rule applies in there, so frames need not visit the rules.
  const quiet = 'for f in /proc/sys/net/bridge/bridge-nf-call-*; do echo 0 >"$f"; done';
  await succeeds(['ip', 'netns', 'exec', bridge, 'sh', '-c', quiet]);
}

export async function tearDownBridge(cluster: Cluster): Promise<void> {
  const cable = hostInterface(cluster);
  if (existsSync(`/sys/class/net/${cable}`)) await execute(['ip', 'link', 'delete', cable]);
  const bridge = bridgeNamespace(cluster);
  if (namespaceExists(bridge)) await execute(['ip', 'netns', 'delete', bridge]);
}

/** Makes a node's network namespace and plugs it into the bridge; what is left of an earlier one is removed. */
export async function connectNode(cluster: Cluster, node: string, address: string, mtu: number): Promise<void> {
  const bridge = bridgeNamespace(cluster);
  const namespace = nodeNamespace(cluster, node);
  const port = portName(address);
  const { bits } = parseCidr(cluster.settings.nodeCidr);
  await disconnectNode(cluster, node, address);
  await execute(['ip', 'netns', 'add', namespace]);
  await ipBatch(bridge, [
    `link add ${port} mtu ${mtu} type veth peer name eth0 mtu ${mtu} address ${hardwareAddress(address)} netns ${namespace}`,
    `link set ${port} master br0 up`,
  ]);
  await ipBatch(namespace, [
    'link set lo up',
    `address add ${address}/${bits} dev eth0`,
    ...ipv6Lines(cluster, address, 'eth0'),
    'link set eth0 up',
    ...cluster.linkAddresses(cluster.hostAddress).map(host => `route add default via ${host} dev eth0`),
  ]);
}

/** Pulls the plug: from now on not a single frame leaves the node. */
export async function unplugNode(cluster: Cluster, address: string): Promise<void> {
  await succeeds(['ip', '-n', bridgeNamespace(cluster), 'link', 'delete', portName(address)]);
}

export async function disconnectNode(cluster: Cluster, node: string, address: string): Promise<void> {
  if (namespaceExists(bridgeNamespace(cluster))) await unplugNode(cluster, address);
  const namespace = nodeNamespace(cluster, node);
  if (namespaceExists(namespace)) await execute(['ip', 'netns', 'delete', namespace]);
}
