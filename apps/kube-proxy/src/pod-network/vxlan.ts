import { createHash } from 'node:crypto';
import { addressBits, canonicalAddress, familyOf } from '@naru/foundation';
import type { CommandRunner } from '../command';
import {
  emptyBatch,
  flushRoutes,
  listRoutes,
  parseJson,
  routeProtocol,
  type BackendDeps,
  type Batch,
  type PodNetworkBackend,
  type Uplink,
} from './backend';
import { networkAddress, ofFamily, type PeerTraces } from './peer';

export const vxlanDevice = 'naru.1';

/** Outer Ethernet, IP, UDP and VXLAN headers. */
const vxlanOverhead = { 4: 50, 6: 70 } as const;

/**
 * The link address of a node's tunnel end, made from the node's address: every node knows it without being told, and nobody
 * needs the right to write to Nodes.
 */
export function tunnelMac(nodeIp: string): string {
  const digest = createHash('sha256').update(canonicalAddress(nodeIp)).digest();
  // An IPv4 address fits in whole; an IPv6 one is told by as much of its digest.
  const bytes = familyOf(nodeIp) === 4 ? nodeIp.split('.').map(Number) : [...digest.subarray(0, 4)];
  return ['02', '6e', ...bytes.map(byte => byte.toString(16).padStart(2, '0'))].join(':');
}

/**
 * Pod packets of both families in UDP between the nodes, so these need not be on one network. As in Flannel nothing is
 * learned or asked for by broadcast: for each node a forwarding entry, and for each of its ranges a route and a permanent
 * neighbour. The address of a tunnel end is the first one of the node's range, which no pod gets.
 */
export function vxlan({ run, nodeIps, vxlan: { id, port } }: BackendDeps): PodNetworkBackend {
  const [nodeIp = ''] = nodeIps;
  const underlay = familyOf(nodeIp);
  const overhead = vxlanOverhead[underlay];
  return {
    name: 'vxlan',
    overhead,
    prepare: (uplink, podCidrs) => prepareDevice(run, { nodeIp, id, port, uplink, podCidrs, overhead }),
    add(peer): Batch {
      const batch = emptyBatch();
      const far = ofFamily(peer.nodeIps, underlay);
      if (!far) return batch;
      const mac = tunnelMac(far);
      for (const podCidr of peer.podCidrs) {
        const end = networkAddress(podCidr);
        batch.ip[familyOf(podCidr)].push(
          `neigh replace ${end} lladdr ${mac} dev ${vxlanDevice} nud permanent`,
          `route replace ${podCidr} via ${end} dev ${vxlanDevice} onlink proto ${routeProtocol}`,
        );
      }
      batch.bridge.push(`fdb replace ${mac} dev ${vxlanDevice} dst ${far} self permanent`);
      return batch;
    },
    remove(peer): Batch {
      const batch = emptyBatch();
      for (const podCidr of peer.podCidrs)
        batch.ip[familyOf(podCidr)].push(
          `route flush ${podCidr} proto ${routeProtocol}`,
          `neigh flush to ${networkAddress(podCidr)} dev ${vxlanDevice} nud permanent`,
        );
      const far = ofFamily(peer.nodeIps, underlay);
      // Replaced first, so that deleting it cannot fail.
      if (far)
        batch.bridge.push(
          `fdb replace ${tunnelMac(far)} dev ${vxlanDevice} dst ${far} self permanent`,
          `fdb del ${tunnelMac(far)} dev ${vxlanDevice} dst ${far} self`,
        );
      return batch;
    },
    list: () => listPeers(run),
    async cleanup() {
      await flushRoutes(run);
      if (await readDevice(run)) await run('ip', ['link', 'delete', vxlanDevice]);
    },
  };
}

interface DeviceJson {
  ifname: string;
  address: string;
  mtu: number;
  linkinfo?: {
    info_kind?: string;
    info_data?: { id?: number; port?: number; local?: string; local6?: string; link?: string };
  };
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
  podCidrs: readonly string[];
  overhead: number;
}

async function prepareDevice(run: CommandRunner, options: DeviceOptions): Promise<void> {
  const { nodeIp, id, port, uplink, podCidrs, overhead } = options;
  const lines: string[] = [];
  const device = await readDevice(run);
  const { id: hasId, port: hasPort, local, local6, link } = device?.linkinfo?.info_data ?? {};
  // These cannot be changed on a device that is there.
  const usable = hasId === id && hasPort === port && (local ?? local6) === nodeIp && link === uplink.name;
  if (device && !usable) lines.push(`link delete ${vxlanDevice}`);
  if (!usable) {
    lines.push(
      `link add ${vxlanDevice} address ${tunnelMac(nodeIp)} type vxlan id ${id} dev ${uplink.name} local ${nodeIp} dstport ${port} nolearning`,
    );
  } else if (await hasOtherAddress(run, podCidrs)) lines.push(`addr flush dev ${vxlanDevice} scope global`);
  lines.push(`link set ${vxlanDevice} address ${tunnelMac(nodeIp)} mtu ${uplink.mtu - overhead} up`);
  for (const podCidr of podCidrs) {
    const family = familyOf(podCidr);
    // There is nobody on the tunnel who could have the address too, and nobody who would hear the question.
    const flags = family === 6 ? ' nodad' : '';
    lines.push(`addr replace ${networkAddress(podCidr)}/${addressBits[family]} dev ${vxlanDevice}${flags}`);
  }
  await run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
}

async function hasOtherAddress(run: CommandRunner, podCidrs: readonly string[]): Promise<boolean> {
  const text = await run('ip', ['-json', 'addr', 'show', 'dev', vxlanDevice, 'scope', 'global']);
  const own = podCidrs.map(networkAddress);
  const addresses = parseJson<{ addr_info?: { local?: string }[] }>(text).flatMap(link => link.addr_info ?? []);
  return addresses.some(({ local }) => local !== undefined && !own.includes(local));
}

async function listPeers(run: CommandRunner): Promise<PeerTraces[]> {
  const routes = await listRoutes(run);
  const text = await run('bridge', ['-json', 'fdb', 'show', 'dev', vxlanDevice]);
  const nodes = parseJson<{ mac: string; dst?: string }>(text).flatMap(({ dst }) => (dst === undefined ? [] : [dst]));
  // The two are taken down apart; which of them belonged together does not matter any more.
  return [
    ...routes.map(({ dst }) => ({ nodeIps: [], podCidrs: [dst] })),
    ...nodes.map(nodeIp => ({ nodeIps: [nodeIp], podCidrs: [] })),
  ];
}
