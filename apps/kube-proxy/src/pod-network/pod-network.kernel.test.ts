import fs from 'node:fs';
import path from 'node:path';
import { AddressRanges, silentLogger } from '@naru/foundation';
import { eventually } from '@naru/testing';
import { ipFamilies } from '../desired/ip-family';
import { proxyModes } from '../modes/registry';
import type { LabNode } from '../testing/network-lab';
import { labAddresses } from '../testing/lab-addresses';
import { NetworkLab } from '../testing/network-lab';
import { describeInKernel } from '../testing/require-kernel';
import { nodeObject, setUpCluster, startPodNetwork, type TestCluster } from '../testing/test-cluster';
import { cleanupAll } from '../prepare';
import type { BackendName } from './pod-network';

const combinations = [
  { backend: 'vxlan', mode: 'nftables' },
  { backend: 'vxlan', mode: 'iptables' },
  { backend: 'host-gw', mode: 'nftables' },
  { backend: 'host-gw', mode: 'iptables' },
] as const;

for (const { backend, mode } of combinations) {
  describeInKernel(`the pod network by ${backend} with ${mode}`, () => testBackend(backend, mode));
}

async function routesOf({ run }: LabNode): Promise<string> {
  return run('ip', ['-4', 'route', 'show', 'proto', '78']);
}

function testBackend(backend: BackendName, modeName: 'nftables' | 'iptables'): void {
  const mode = proxyModes.find(({ name }) => name === modeName)!;
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await setUpCluster(mode, { nodes: 3, backend });
  });
  afterAll(() => cluster?.close());

  test('brings pods of different nodes together, each with its own address', async () => {
    const { lab, pods } = cluster;
    await eventually(async () => {
      expect(await lab.ask(pods[0]!, pods[2]!.ip, 8080)).toEqual({ name: 'pod-2', client: pods[0]!.ip });
    });
    expect(await lab.ask(pods[2]!, pods[0]!.ip, 8080)).toEqual({ name: 'pod-0', client: pods[2]!.ip });
    expect(await lab.ask(pods[0]!, pods[1]!.ip, 8080)).toEqual({ name: 'pod-1', client: pods[0]!.ip });
  });

  test('lets nodes reach the pods of every node', async () => {
    const { lab, pods } = cluster;
    for (const node of lab.nodes) {
      for (const [index, pod] of pods.entries()) expect((await lab.ask(node, pod.ip, 8080)).name).toBe(`pod-${index}`);
    }
  });

  test('carries packets as large as a pod may send', async () => {
    const { pods } = cluster;
    const mtu = backend === 'vxlan' ? 1450 : 1500;
    expect(await pods[0]!.run('cat', ['/sys/class/net/eth0/mtu'])).toBe(`${mtu}\n`);
    const datagram = `require('dgram').createSocket('udp4').on('message', () => process.exit(0))
      .send(Buffer.alloc(${mtu - 28}), 8080, '${pods[2]!.ip}')`;
    await pods[0]!.run('timeout', ['80', process.execPath, '-e', datagram]);
  });

  test('hides pods behind their node from what is outside the cluster', async () => {
    const { lab, pods } = cluster;
    await lab.serve(lab.outside, 9090, 'outside');
    expect(await lab.ask(pods[0]!, lab.outside.ip, 9090)).toEqual({ name: 'outside', client: lab.node(1).ip });
    expect(await lab.ask(pods[2]!, lab.outside.ip, 9090)).toEqual({ name: 'outside', client: lab.node(2).ip });
  });

  test('follows Nodes that move, come and go', async () => {
    const { lab, networks } = cluster;
    const network = networks[0]!;
    expect(await routesOf(lab.node(1))).toContain('10.244.3.0/24');
    network.setNode({ ...nodeObject(lab.node(3), 3), spec: { podCIDR: '10.244.9.0/24' } });
    await eventually(async () => {
      const routes = await routesOf(lab.node(1));
      expect(routes).toContain('10.244.9.0/24');
      expect(routes).not.toContain('10.244.3.0/24');
    });
    network.deleteNode(nodeObject(lab.node(3), 3));
    await eventually(async () => expect(await routesOf(lab.node(1))).not.toContain('10.244.9.0/24'));
    if (backend === 'vxlan')
      await eventually(async () => {
        const fdb = await lab.node(1).run('bridge', ['fdb', 'show', 'dev', 'naru.1']);
        expect(fdb).toContain(lab.node(2).ip);
        expect(fdb).not.toContain(lab.node(3).ip);
      });
    network.setNode(nodeObject(lab.node(3), 3));
    await eventually(async () => expect(await routesOf(lab.node(1))).toContain('10.244.3.0/24'));
  });

  test('a new process removes what an old one knew and keeps the rest going', async () => {
    const { lab, pods } = cluster;
    const stale = backend === 'vxlan' ? 'via 10.244.2.0 dev naru.1 onlink' : `via ${lab.node(2).ip}`;
    await lab.node(1).run('sh', ['-c', `ip route add 10.244.77.0/24 ${stale} proto 78`]);
    await lab.node(1).run('ip', ['route', 'add', '10.99.0.0/24', 'via', lab.node(2).ip]);
    const before = await lab.node(1).run('ip', ['-o', 'link', 'show']);
    const again = startPodNetwork(lab.nodes, lab.node(1), backend, mode);
    await eventually(async () => expect(await routesOf(lab.node(1))).not.toContain('10.244.77.0'));
    await again.stop();
    expect(await lab.node(1).run('ip', ['-o', 'link', 'show'])).toBe(before);
    expect(await lab.node(1).run('ip', ['route'])).toContain('10.99.0.0/24');
    expect((await lab.ask(pods[0]!, pods[2]!.ip, 8080)).name).toBe('pod-2');
  });

  test("a pod's bandwidth is limited in both directions", async () => {
    const { lab } = cluster;
    const burst = 1_000_000;
    const bandwidth = { ingressRate: 8_000_000, ingressBurst: burst, egressRate: 4_000_000, egressBurst: burst };
    const limited = await lab.addPod(lab.node(1), { bandwidth });
    const queues = await lab.node(1).run('tc', ['qdisc', 'show']);
    expect(queues).toMatch(/tbf .* rate 8Mbit/);
    expect(queues).toMatch(/tbf .* rate 4Mbit/);
    await lab.serve(limited, 8080, 'limited');
    expect((await lab.ask(cluster.pods[0]!, limited.ip, 8080)).name).toBe('limited');
  });

  test('--cleanup leaves nothing', async () => {
    const { lab } = cluster;
    const node = lab.node(3);
    const podNetwork = {
      backend,
      mode: modeName,
      nodeName: node.name,
      nodeIps: [node.ip],
      clusterCidrs: ipFamilies.map(family => labAddresses[family].clusterCidr),
      cniConfDir: path.join(node.dir, 'net.d'),
      cniStateDir: path.join(node.dir, 'cni'),
      vxlan: { id: 1, port: 8472 },
    };
    const options = {
      mode: modeName,
      nodeName: node.name,
      rules: [],
      nodeIps: [],
      loadBalancerPool: AddressRanges.parse(''),
      podNetwork,
      minSyncPeriodMs: 0,
      fullSyncPeriodMs: 0,
    };
    await cleanupAll(options, node.run, silentLogger);
    expect(await routesOf(node)).toBe('');
    expect(await node.run('ip', ['-o', 'link', 'show'])).not.toContain('naru.1');
    expect(await node.run('nft', ['list', 'ruleset'])).not.toMatch(/naru|NARU|KUBE/i);
    expect(fs.readdirSync(podNetwork.cniConfDir)).toEqual([]);
    await cleanupAll(options, node.run, silentLogger);
  });
}

describeInKernel('a pod network without a range', () => {
  test('waits for it and takes it at once when it comes', async () => {
    const lab = await NetworkLab.create(1);
    const node = lab.node(1);
    const network = startPodNetwork([], node, 'vxlan', proxyModes[1]!);
    try {
      expect(() => network.checkReady()).toThrow(/no podCIDR/);
      network.setNode({ metadata: { name: node.name } });
      network.setNode(nodeObject(node, 1));
      await eventually(() => network.checkReady());
      const list = JSON.parse(fs.readFileSync(path.join(node.dir, 'net.d', '10-naru.conflist'), 'utf8')) as object;
      expect(list).toMatchObject({
        name: 'naru',
        plugins: [{ type: 'ptp', mtu: 1450 }, { type: 'portmap' }, { type: 'bandwidth' }],
      });
      const { run } = lab.node(1);
      expect(await run('cat', ['/proc/sys/net/ipv4/ip_forward'])).toBe('1\n');
    } finally {
      await network.stop();
      await lab.close();
    }
  });
});
