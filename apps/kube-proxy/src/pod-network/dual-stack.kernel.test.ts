import path from 'node:path';
import type { Node } from '@naru/api';
import { silentLogger, systemClock } from '@naru/foundation';
import { eventually } from '@naru/testing';
import type { ModeName } from '../modes/mode';
import { NetworkLab, type LabNode, type Place } from '../testing/network-lab';
import { describeInKernel } from '../testing/require-kernel';
import { PodNetwork, type BackendName } from './pod-network';

interface Kind {
  backend: BackendName;
  mode: ModeName;
  /** The family that comes first: of the node's own addresses and of its pods'. */
  first: 'IPv4' | 'IPv6';
  mtu: number;
}

const kinds: Kind[] = [
  { backend: 'vxlan', mode: 'nftables', first: 'IPv4', mtu: 1450 },
  { backend: 'vxlan', mode: 'iptables', first: 'IPv6', mtu: 1430 },
  { backend: 'host-gw', mode: 'iptables', first: 'IPv4', mtu: 1500 },
];

for (const kind of kinds) {
  const { backend, mode, first } = kind;
  describeInKernel(`a pod network of two families, by ${backend} with ${mode}, ${first} first`, () => testKind(kind));
}

const podCidr6 = (index: number): string => `fd00:10:244:${index}::/64`;

function nodeOf(node: LabNode, index: number, { first }: Kind): Node {
  const podCIDRs = [`10.244.${index}.0/24`, podCidr6(index)];
  const addresses = node.ips.map(address => ({ type: 'InternalIP', address }));
  if (first === 'IPv6') for (const list of [podCIDRs, addresses]) list.reverse();
  return { metadata: { name: node.name }, spec: { podCIDR: podCIDRs[0]!, podCIDRs }, status: { addresses } };
}

function startNetwork(lab: NetworkLab, at: number, kind: Kind): PodNetwork {
  const { run, dir, name } = lab.node(at);
  const own = nodeOf(lab.node(at), at, kind);
  const network = new PodNetwork({
    config: {
      backend: kind.backend,
      mode: kind.mode,
      nodeName: name,
      nodeIps: own.status!.addresses!.map(({ address }) => address),
      clusterCidrs: ['10.244.0.0/16', 'fd00:10:244::/48'],
      cniConfDir: path.join(dir, 'net.d'),
      cniStateDir: path.join(dir, 'cni'),
      vxlan: { id: 1, port: 8472 },
    },
    run,
    clock: systemClock,
    logger: silentLogger,
    fullSyncPeriodMs: 3_600_000,
  });
  lab.nodes.forEach((node, index) => network.setNode(nodeOf(node, index + 1, kind)));
  network.start();
  return network;
}

async function addressOf({ run }: Place, family: 4 | 6): Promise<string> {
  const text = await run('ip', ['-json', `-${family}`, 'addr', 'show', 'dev', 'eth0', 'scope', 'global']);
  const [link] = JSON.parse(text) as { addr_info: { local: string }[] }[];
  return link?.addr_info[0]?.local ?? '';
}

function testKind(kind: Kind): void {
  let lab: NetworkLab;
  let networks: PodNetwork[] = [];
  const pods: Place[] = [];
  const addresses: { v4: string; v6: string }[] = [];

  beforeAll(async () => {
    lab = await NetworkLab.create(2);
    networks = lab.nodes.map((_, index) => startNetwork(lab, index + 1, kind));
    for (const network of networks) await eventually(() => network.checkReady());
    for (const node of lab.nodes) {
      const pod = await lab.addPod(node);
      pods.push(pod);
      addresses.push({ v4: await addressOf(pod, 4), v6: await addressOf(pod, 6) });
      await lab.serve(pod, 8080, node.name);
    }
  });
  afterAll(async () => {
    await Promise.all(networks.map(network => network.stop()));
    await lab?.close();
  });

  const routes = (): Promise<string> => lab.node(1).run('ip', ['-6', 'route', 'show', 'proto', '78']);

  test('gives pods an address of each family, that of the first before the other', async () => {
    const { v4, v6 } = addresses[0]!;
    expect([v4, v6]).toEqual([expect.stringMatching(/^10\.244\.1\./), expect.stringMatching(/^fd00:10:244:1::/)]);
    expect(pods[0]!.ips).toEqual(kind.first === 'IPv4' ? [v4, v6] : [v6, v4]);
  });

  test('brings pods of different nodes together by both families, each with its own address', async () => {
    for (const family of ['v4', 'v6'] as const) {
      const [here, there] = [addresses[0]![family], addresses[1]![family]];
      await eventually(async () =>
        expect(await lab.ask(pods[0]!, there, 8080)).toEqual({ name: 'node-2', client: here }),
      );
      expect(await lab.ask(pods[1]!, here, 8080)).toEqual({ name: 'node-1', client: there });
      expect((await lab.ask(lab.node(2), here, 8080)).name).toBe('node-1');
    }
  });

  test('carries packets of IPv6 as large as a pod may send', async () => {
    expect(await pods[0]!.run('cat', ['/sys/class/net/eth0/mtu'])).toBe(`${kind.mtu}\n`);
    const headers = 40 + 8;
    const datagram = `require('dgram').createSocket('udp6').on('message', () => process.exit(0))
      .send(Buffer.alloc(${kind.mtu - headers}), 8080, '${addresses[1]!.v6}')`;
    await pods[0]!.run('timeout', ['80', process.execPath, '-e', datagram]);
  });

  test('hides pods behind the IPv6 address of their node from what is outside the cluster', async () => {
    await lab.serve(lab.outside, 9090, 'outside');
    expect(await lab.ask(pods[1]!, lab.outside.ipv6, 9090)).toEqual({ name: 'outside', client: lab.node(2).ipv6 });
  });

  test('follows Nodes that get another range, go and come, in both families', async () => {
    const [network] = networks;
    const node = lab.node(2);
    expect(await routes()).toContain(podCidr6(2));
    const moved = nodeOf(node, 2, kind);
    network!.setNode({ ...moved, spec: { podCIDRs: ['10.244.9.0/24', podCidr6(9)] } });
    await eventually(async () => {
      const now = await routes();
      expect(now).toContain(podCidr6(9));
      expect(now).not.toContain(podCidr6(2));
    });
    network!.deleteNode(moved);
    await eventually(async () => expect(await routes()).toBe(''));
    if (kind.backend === 'vxlan')
      await eventually(async () => {
        expect(await lab.node(1).run('ip', ['-6', 'neigh', 'show', 'nud', 'permanent', 'dev', 'naru.1'])).toBe('');
        expect(await lab.node(1).run('bridge', ['fdb', 'show', 'dev', 'naru.1'])).not.toContain(' dst ');
      });
    network!.setNode(moved);
    await eventually(async () => expect((await lab.ask(pods[0]!, addresses[1]!.v6, 8080)).name).toBe('node-2'));
  });

  test('a new process keeps what is right and removes the rest of both families', async () => {
    const before = await lab.node(1).run('ip', ['-o', 'link', 'show']);
    const gateway = kind.backend === 'vxlan' ? ['fd00:10:244:2::', 'dev', 'naru.1', 'onlink'] : [lab.node(2).ipv6];
    await lab.node(1).run('ip', ['-6', 'route', 'add', podCidr6(77), 'via', ...gateway, 'proto', '78']);
    const again = startNetwork(lab, 1, kind);
    await eventually(async () => expect(await routes()).not.toContain(podCidr6(77)));
    expect(await lab.node(1).run('ip', ['-o', 'link', 'show'])).toBe(before);
    expect((await lab.ask(pods[0]!, addresses[1]!.v6, 8080)).name).toBe('node-2');
    await again.stop();
    await again.cleanup();
    expect(await routes()).toBe('');
    expect(await lab.node(1).run('nft', ['list', 'ruleset'])).not.toMatch(/naru|NARU/);
  });
}
