import { endpointsOfPods, forwardedPort, setUpCluster, type TestCluster } from '../testing/test-cluster';
import { describeInKernel } from '../testing/require-kernel';
import { aPort } from '../testing/ports';
import type { ProxyMode } from './mode';
import { hostRange, ipFamilies, type IpFamily } from '../desired/ip-family';
import { labAddresses } from '../testing/lab-addresses';
import { iptables } from './iptables';
import { iptablesProgram } from './iptables/programs';
import { nftables } from './nftables';
import { nftFamily } from './nftables/skeleton';

const nodePort = 30080;

// This kernel need not have IPVS: ipvs.uml.test.ts tests it in one that has.
for (const family of ipFamilies) {
  for (const mode of [iptables, nftables]) {
    describeInKernel(`the mode ${mode.name} in the kernel, with ${family}`, () => testMode(mode, family));
  }
}

function testMode(mode: ProxyMode, family: IpFamily): void {
  const addresses = labAddresses[family];
  const clusterIp = addresses.clusterIp(10);
  const [ip, iptablesName] = [nftFamily[family], iptablesProgram[family]];
  const foreignAddress = addresses.host(99);
  const foreignRules = `table ${ip} foreign {
    chain output { type nat hook output priority -100; tcp dport 1 dnat to ${foreignAddress}; };
  }`;
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = await setUpCluster(mode, { nodes: 2, backend: 'host-gw', family });
    await cluster.lab.node(1).run('nft', ['-f', '-'], foreignRules);
    await cluster.lab
      .node(1)
      .run(iptablesName, ['-t', 'nat', '-A', 'OUTPUT', '-p', 'tcp', '--dport', '1', '-j', 'RETURN']);
  }, 60_000);
  afterAll(() => cluster?.close());

  afterEach(() => expect(cluster.warnings).toEqual([]));

  test('has all that it needs', async () => {
    expect(await mode.probe(cluster.lab.node(1).run, { family, clusterCidr: undefined })).toEqual([]);
  });

  test('a cluster IP leads to all endpoints, from a pod and from a node, with the pod as client', async () => {
    const { lab, pods } = cluster;
    await cluster.sync([forwardedPort(cluster, { clusterIp })]);
    expect(await lab.names(pods[0]!, clusterIp, 80)).toEqual(['pod-0', 'pod-1', 'pod-2']);
    expect(await lab.names(lab.node(1), clusterIp, 80)).toEqual(['pod-0', 'pod-1', 'pod-2']);
    const remote = forwardedPort(cluster, { clusterIp, clusterEndpoints: endpointsOfPods(cluster, 1, [2]) });
    await cluster.sync([remote]);
    expect(await lab.ask(pods[0]!, clusterIp, 80)).toEqual({ name: 'pod-2', client: pods[0]!.ip });
  });

  test('a pod reaches itself through its Service', async () => {
    const { lab, pods } = cluster;
    await cluster.sync([forwardedPort(cluster, { clusterIp, clusterEndpoints: endpointsOfPods(cluster, 1, [0]) })]);
    const { name, client } = await lab.ask(pods[0]!, clusterIp, 80);
    expect(name).toBe('pod-0');
    expect(client).not.toBe(pods[0]!.ip);
  });

  test('a node port answers on every node from outside, from pods and from nodes', async () => {
    const { lab, pods } = cluster;
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort })]);
    for (const from of [lab.outside, lab.node(2), lab.node(1), pods[0]!]) {
      expect(await lab.names(from, lab.node(1).ip, nodePort)).toEqual(['pod-0', 'pod-1', 'pod-2']);
    }
  });

  test('an external address leads to the endpoints', async () => {
    const { lab } = cluster;
    await cluster.sync([forwardedPort(cluster, { clusterIp, externalIps: [addresses.host(200)] })]);
    expect(await lab.names(lab.node(1), addresses.host(200), 80)).toEqual(['pod-0', 'pod-1', 'pod-2']);
  });

  test("a load balancer's address answers the source ranges and the node that holds it, and nobody else", async () => {
    const { lab } = cluster;
    const loadBalancerIp = addresses.host(201);
    const towardsNode1 = ['route', 'replace', hostRange(loadBalancerIp), 'via', lab.node(1).ip];
    for (const place of [lab.outside, lab.node(2)]) await place.run('ip', towardsNode1);
    const port = forwardedPort(cluster, { clusterIp, loadBalancerIps: [loadBalancerIp] });
    await cluster.sync([port]);
    expect(await lab.names(lab.outside, loadBalancerIp, 80)).toEqual(['pod-0', 'pod-1', 'pod-2']);
    await cluster.sync([{ ...port, sourceRanges: [hostRange(lab.node(2).ip), addresses.foreign] }]);
    await expect(lab.ask(lab.outside, loadBalancerIp, 80)).rejects.toThrow(/timed out/i);
    expect(await lab.names(lab.node(2), loadBalancerIp, 80)).toEqual(['pod-0', 'pod-1', 'pod-2']);
    expect((await lab.ask(lab.outside, lab.node(1).ip, nodePort).catch(() => ({ name: 'nobody' }))).name).toBe(
      'nobody',
    );
    await cluster.sync([port]);
    expect(await lab.names(lab.outside, loadBalancerIp, 80)).toEqual(['pod-0', 'pod-1', 'pod-2']);
  });

  test('node ports answer only on the addresses that they are to', async () => {
    const { lab } = cluster;
    cluster.restart({ nodePortAddresses: [addresses.clusterCidr] });
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort })]);
    await expect(lab.ask(lab.outside, lab.node(1).ip, nodePort)).rejects.toThrow(/refused/);
    cluster.restart({ nodePortAddresses: [addresses.foreign, hostRange(lab.node(1).ip)] });
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort })]);
    expect(await lab.names(lab.outside, lab.node(1).ip, nodePort)).toEqual(['pod-0', 'pod-1', 'pod-2']);
    cluster.restart();
    await cluster.sync([]);
  });

  test('externalTrafficPolicy Local keeps the client and stays on the node, but not for pods', async () => {
    const { lab, pods } = cluster;
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort, externalPolicy: 'local' })]);
    expect(await lab.names(lab.outside, lab.node(1).ip, nodePort)).toEqual(['pod-0', 'pod-1']);
    expect((await lab.ask(lab.outside, lab.node(1).ip, nodePort)).client).toBe(lab.outside.ip);
    for (const from of [pods[0]!, lab.node(1)]) {
      expect(await lab.names(from, lab.node(1).ip, nodePort)).toEqual(['pod-0', 'pod-1', 'pod-2']);
    }
  });

  test('externalTrafficPolicy Local without local endpoints drops what comes from outside only', async () => {
    const { lab, pods } = cluster;
    const clusterEndpoints = endpointsOfPods(cluster, 1, [2]);
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort, clusterEndpoints, externalPolicy: 'local' })]);
    await expect(lab.ask(lab.outside, lab.node(1).ip, nodePort)).rejects.toThrow(/timed out/i);
    expect((await lab.ask(pods[0]!, lab.node(1).ip, nodePort)).name).toBe('pod-2');
  });

  test('internalTrafficPolicy Local stays on the node', async () => {
    const { lab, pods } = cluster;
    await cluster.sync([forwardedPort(cluster, { clusterIp, internalPolicy: 'local' })]);
    expect(await lab.names(pods[0]!, clusterIp, 80)).toEqual(['pod-0', 'pod-1']);
  });

  test('session affinity keeps a client on its endpoint through syncs, for as long as it says', async () => {
    const { lab, pods } = cluster;
    const port = forwardedPort(cluster, { clusterIp, nodePort, affinitySeconds: 2 });
    await cluster.sync([port]);
    const first = await lab.names(pods[0]!, clusterIp, 80, 10);
    expect(first).toHaveLength(1);
    await cluster.sync([port, aPort({ name: 'default/other:/tcp/80', clusterIp: addresses.clusterIp(11) })]);
    await cluster.syncFull();
    expect(await lab.names(pods[0]!, clusterIp, 80, 10)).toEqual(first);
    expect(await lab.names(lab.outside, lab.node(1).ip, nodePort, 10)).toHaveLength(1);
    const seen = new Set(first);
    for (let attempt = 0; attempt < 30 && seen.size < 2; attempt++) {
      await new Promise(resolve => setTimeout(resolve, 2_100));
      seen.add((await lab.ask(pods[0]!, clusterIp, 80)).name);
    }
    expect(seen.size).toBeGreaterThan(1);
  }, 90_000);

  test('without endpoints a connection is refused at once, from pod, node and outside', async () => {
    const { lab, pods } = cluster;
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort, clusterEndpoints: [] })]);
    for (const from of [pods[0]!, lab.node(1)]) {
      await expect(lab.ask(from, clusterIp, 80)).rejects.toThrow(/refused/);
    }
    await expect(lab.ask(lab.outside, lab.node(1).ip, nodePort)).rejects.toThrow(/refused/);
  });

  test('UDP is forwarded', async () => {
    const { lab, pods } = cluster;
    await cluster.sync([forwardedPort(cluster, { name: 'default/dns:/udp', protocol: 'udp', clusterIp })]);
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => lab.ask(pods[0]!, clusterIp, 80, { protocol: 'udp' })),
    );
    expect(new Set(answers.map(({ name }) => name)).size).toBeGreaterThan(1);
  });

  test('a change of endpoints touches only what changed, and a full sync afterwards changes nothing', async () => {
    const { lab, pods } = cluster;
    const others = Array.from({ length: 20 }, (_, index) =>
      aPort({
        name: `default/other-${index}:/tcp/80`,
        clusterIp: addresses.clusterIp(0x100 + index),
        nodePort: 31000 + index,
      }),
    );
    const port = forwardedPort(cluster, { clusterIp, nodePort });
    await cluster.sync([...others, port]);
    for (const indices of [[0, 2], [2], [1, 2], [], [0, 1, 2]]) {
      const changed = forwardedPort(cluster, {
        clusterIp,
        nodePort,
        clusterEndpoints: endpointsOfPods(cluster, 1, indices),
      });
      await cluster.sync([...others, changed]);
      if (indices.length === 0) await expect(lab.ask(pods[0]!, clusterIp, 80)).rejects.toThrow(/refused/);
      else expect(await lab.names(pods[0]!, clusterIp, 80)).toEqual(indices.map(index => `pod-${index}`));
    }
    const before = await cluster.ownRules();
    await cluster.syncFull();
    expect(await cluster.ownRules()).toEqual(before);
  });

  test('what an earlier process left is put right, also when its structure differs', async () => {
    const { lab, pods } = cluster;
    const gone = { name: 'default/gone:/tcp/80', clusterIp: addresses.clusterIp(99), nodePort: 30099 };
    await cluster.sync([
      forwardedPort(cluster, { ...gone, affinitySeconds: 100, externalPolicy: 'local' }),
      forwardedPort(cluster, { clusterIp }),
    ]);
    cluster.restart();
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort })]);
    expect(await cluster.ownRules()).not.toContain(addresses.clusterIp(99));
    expect(await lab.names(pods[0]!, clusterIp, 80)).toEqual(['pod-0', 'pod-1', 'pod-2']);
  });

  test('is put right when others have deleted parts of it', async () => {
    const { lab, pods } = cluster;
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort, affinitySeconds: 10 })]);
    const { run } = lab.node(1);
    if (mode.name === 'nftables') await run('nft', ['flush', 'chain', ip, 'naru-proxy', 'services']);
    else await run(iptablesName, ['-t', 'nat', '-F', 'KUBE-SERVICES']);
    await cluster.syncFull();
    expect(await lab.names(pods[0]!, clusterIp, 80, 5)).toHaveLength(1);
  });

  test('what the kernel refuses changes nothing, and the next full sync is taken', async () => {
    const { lab, pods } = cluster;
    const good = forwardedPort(cluster, { clusterIp, nodePort });
    await cluster.sync([good]);
    const impossible = { address: pods[0]!.ip, port: 99_999, local: true };
    const refused = {
      name: 'default/refused:/tcp/80',
      clusterIp: addresses.clusterIp(50),
      clusterEndpoints: [impossible],
    };
    const moved = forwardedPort(cluster, { clusterIp, nodePort, clusterEndpoints: endpointsOfPods(cluster, 1, [2]) });
    await expect(cluster.sync([moved, aPort(refused)])).rejects.toThrow(/failed with exit code/);
    expect(await lab.names(pods[0]!, clusterIp, 80)).toEqual(['pod-0', 'pod-1', 'pod-2']);
    expect(await lab.names(lab.outside, lab.node(1).ip, nodePort)).toEqual(['pod-0', 'pod-1', 'pod-2']);
    await cluster.syncFull();
    expect(await lab.names(pods[0]!, clusterIp, 80)).toEqual(['pod-0', 'pod-1', 'pod-2']);
  });

  test('cleanup leaves no rule of ours and every rule of others', async () => {
    const { lab } = cluster;
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort, affinitySeconds: 10 })]);
    await cluster.cleanup();
    const { run } = lab.node(1);
    expect(await cluster.ownRules()).toBe('');
    expect(await run('nft', ['list', 'table', ip, 'foreign'])).toContain(`dnat to ${foreignAddress}`);
    expect(await run(`${iptablesName}-save`, ['-t', 'nat'])).toContain('-A OUTPUT -p tcp -m tcp --dport 1 -j RETURN');
    await cluster.cleanup();
  });
}
