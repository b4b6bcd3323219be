import type { CommandRunner } from '../command';
import { listRoutes, parseJson, routeProtocol, type BackendDeps, type PodNetworkBackend, type Uplink } from './backend';
import { networkAddress } from './peer';

export const vxlanDevice = 'naru.1';

/** Outer Ethernet, IPv4, UDP and VXLAN headers. */
const vxlanOverhead = 50;

/**
 * The link address of a node's tunnel end, made from the node's address: every node knows it without being told, and nobody
 * needs the right to write to Nodes.
 */
export function tunnelMac(nodeIp: string): string {
  const bytes = nodeIp.split('.').map(part => Number(part).toString(16).padStart(2, '0'));
  return ['02', '6e', ...bytes].join(':');
}

/**
 * Pod packets in UDP between the nodes, so these need not be on one network. As in Flannel nothing is learned or asked for
 * by broadcast: a route, a permanent neighbour and a forwarding entry for each node. The address of a tunnel end is
 * the first one of the node's range, which no pod gets.
 */
export function vxlan({ run, nodeIp, vxlan: { id, port } }: BackendDeps): PodNetworkBackend {
  return {
    name: 'vxlan',
    overhead: vxlanOverhead,
    prepare: (uplink, podCidr) => prepareDevice(run, { nodeIp, id, port, uplink, podCidr }),
    add(peer) {
      const end = networkAddress(peer.podCidr);
      const mac = tunnelMac(peer.nodeIp);
      return {
        ip: [
          `neigh replace ${end} lladdr ${mac} dev ${vxlanDevice} nud permanent`,
          `route replace ${peer.podCidr} via ${end} dev ${vxlanDevice} onlink proto ${routeProtocol}`,
        ],
        bridge: [`fdb replace ${mac} dev ${vxlanDevice} dst ${peer.nodeIp} self permanent`],
      };
    },
    remove: peer => ({
      ip: [
        `route flush ${peer.podCidr} proto ${routeProtocol}`,
        `neigh flush to ${networkAddress(peer.podCidr)} dev ${vxlanDevice} nud permanent`,
      ],
      // Replaced first, so that deleting it cannot fail.
      bridge:
        peer.nodeIp === ''
          ? []
          : [
              `fdb replace ${tunnelMac(peer.nodeIp)} dev ${vxlanDevice} dst ${peer.nodeIp} self permanent`,
              `fdb del ${tunnelMac(peer.nodeIp)} dev ${vxlanDevice} dst ${peer.nodeIp} self`,
            ],
    }),
    list: () => listPeers(run),
    async cleanup() {
      await run('ip', ['-4', 'route', 'flush', 'proto', String(routeProtocol)]);
      if (await readDevice(run)) await run('ip', ['link', 'delete', vxlanDevice]);
    },
  };
}

interface DeviceJson {
  ifname: string;
  address: string;
  mtu: number;
  linkinfo?: { info_kind?: string; info_data?: { id?: number; port?: number; local?: string; link?: string } };
}

async function readDevice(run: CommandRunner): Promise<DeviceJson | undefined> {
  const links = parseJson<DeviceJson>(await run('ip', ['-json', '-details', 'link', 'show', 'type', 'vxlan']));
  return links.find(({ ifname }) => ifname === vxlanDevice);
}

interface DeviceOptions {
  nodeIp: string;
  id: number;
  port: number;
  uplink: Uplink;
  podCidr: string;
}

async function prepareDevice(run: CommandRunner, { nodeIp, id, port, uplink, podCidr }: DeviceOptions): Promise<void> {
  const lines: string[] = [];
  const device = await readDevice(run);
  const { id: hasId, port: hasPort, local, link } = device?.linkinfo?.info_data ?? {};
  // These cannot be changed on a device that is there.
  const usable = hasId === id && hasPort === port && local === nodeIp && link === uplink.name;
  if (device && !usable) lines.push(`link delete ${vxlanDevice}`);
  if (!usable) {
    lines.push(
      `link add ${vxlanDevice} address ${tunnelMac(nodeIp)} type vxlan id ${id} dev ${uplink.name} local ${nodeIp} dstport ${port} nolearning`,
    );
  } else if (await hasOtherAddress(run, podCidr)) lines.push(`addr flush dev ${vxlanDevice}`);
  lines.push(
    `link set ${vxlanDevice} address ${tunnelMac(nodeIp)} mtu ${uplink.mtu - vxlanOverhead} up`,
    `addr replace ${networkAddress(podCidr)}/32 dev ${vxlanDevice}`,
  );
  await run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
}

async function hasOtherAddress(run: CommandRunner, podCidr: string): Promise<boolean> {
  const text = await run('ip', ['-json', '-4', 'addr', 'show', 'dev', vxlanDevice]);
  const addresses = parseJson<{ addr_info?: { local: string }[] }>(text).flatMap(link => link.addr_info ?? []);
  return addresses.some(({ local }) => local !== networkAddress(podCidr));
}

async function listPeers(run: CommandRunner): Promise<{ nodeIp: string; podCidr: string }[]> {
  const routes = await listRoutes(run);
  const text = await run('bridge', ['-json', 'fdb', 'show', 'dev', vxlanDevice]);
  const nodes = parseJson<{ mac: string; dst?: string }>(text).flatMap(({ dst }) => (dst === undefined ? [] : [dst]));
  // The two are taken down apart; which of them belonged together does not matter any more.
  return [
    ...routes.map(({ dst }) => ({ nodeIp: '', podCidr: dst })),
    ...nodes.map(nodeIp => ({ nodeIp, podCidr: '' })),
  ];
}
