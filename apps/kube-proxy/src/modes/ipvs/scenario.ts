import assert from 'node:assert/strict';
import { silentLogger } from '@naru/foundation';
import type { Place } from '../../testing/network-lab';
import { hostPort, hostRange, ipFamilies, isIpv6, type IpFamily } from '../../desired/ip-family';
import { endpointsOfPods, forwardedPort, setUpCluster, type TestCluster } from '../../testing/test-cluster';
import { iptablesProgram } from '../iptables/programs';
import { schedulers, type Scheduler } from './virtual-server';
import { ipvs } from '.';

const nodePort = 30080;

/** Of the checks that run. */
let family: IpFamily;

/** One line for each check that ipvs.uml.test.ts reads: `{"family":"...","name":"...","error":"..."}`. */
async function check(name: string, body: () => Promise<void>): Promise<void> {
  let error: string | undefined;
  try {
    await body();
  } catch (thrown) {
    error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  }
  console.log(JSON.stringify({ family, name, ...(error === undefined ? {} : { error }) }));
}

/** The names that `times` connections one after the other led to, in order. */
async function inTurn({ lab }: TestCluster, from: Place, ip: string, port: number, times: number): Promise<string[]> {
  const names: string[] = [];
  for (let time = 0; time < times; time++) names.push((await lab.ask(from, ip, port, { timeoutMs: 5_000 })).name);
  return names;
}

function counts(names: readonly string[]): number[] {
  const found = new Map<string, number>();
  for (const name of names) found.set(name, (found.get(name) ?? 0) + 1);
  return [...found.values()].sort();
}

const three = ['pod-0', 'pod-1', 'pod-2'];

async function balanceBy(scheduler: Scheduler, cluster: TestCluster): Promise<void> {
  const { lab, pods, addresses } = cluster;
  const clusterIp = addresses.clusterIp(10);
  cluster.restart({ ipvsScheduler: scheduler });
  const hold = { name: 'default/hold:/tcp/82', port: 82, clusterIp };
  const held = endpointsOfPods(cluster, 1).map(endpoint => ({ ...endpoint, port: 8082 }));
  await cluster.sync([
    forwardedPort(cluster, { clusterIp, nodePort }),
    forwardedPort(cluster, { ...hold, clusterEndpoints: held }),
  ]);
  const client = pods[0] as Place;
  assert.ok(
    (await lab.node(1).run('ipvsadm', ['--save', '-n'])).includes(`-A -t ${hostPort(clusterIp, 80)} -s ${scheduler}`),
  );
  if (scheduler === 'rr') assert.deepEqual(counts(await inTurn(cluster, client, clusterIp, 80, 6)), [2, 2, 2]);
  else if (scheduler === 'dh') assert.deepEqual(counts(await inTurn(cluster, client, clusterIp, 80, 4)), [4]);
  else if (scheduler === 'sh') await balanceBySource(cluster);
  else {
    // By connections: each goes to who has none, and who has lost his is next.
    const connections = [];
    for (let at = 0; at < 3; at++) connections.push(await lab.hold(client, clusterIp, 82));
    assert.deepEqual(connections.map(({ name }) => name).sort(), three);
    const [, freed] = connections;
    await freed?.close();
    const next = await lab.hold(client, clusterIp, 82);
    assert.equal(next.name, freed?.name);
    await Promise.all([connections[0], connections[2], next].map(connection => connection?.close()));
  }
}

/** A client stays where it is; clients differ. */
async function balanceBySource({ lab, addresses }: TestCluster): Promise<void> {
  const node = lab.node(1);
  const found = new Set<string>();
  const sources = Array.from({ length: 8 }, (_, index) => addresses.host(101 + index));
  const lines = sources.map(
    source => `addr replace ${source}/${addresses.hostBits} dev br0${isIpv6(source) ? ' nodad' : ''}`,
  );
  await lab.outside.run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
  for (const localAddress of sources) {
    const ask = () => lab.ask(lab.outside, node.ip, nodePort, { localAddress, timeoutMs: 5_000 });
    const { name } = await ask();
    assert.equal((await ask()).name, name, `of the client ${localAddress}`);
    found.add(name);
  }
  assert.ok(found.size > 1, `all clients were given ${[...found].join()}`);
}

async function testFamily(cluster: TestCluster): Promise<void> {
  const { addresses } = cluster;
  const clusterIp = addresses.clusterIp(10);
  const { lab } = cluster;
  const [first] = cluster.pods as [Place];
  const node = lab.node(1);
  const foreign = hostPort(addresses.host(99), 9);
  const loadBalancerIp = addresses.host(201);
  for (const place of [lab.outside, lab.node(2)]) {
    await place.run('ip', ['route', 'replace', hostRange(loadBalancerIp), 'via', node.ip]);
  }
  await node.run('sh', [
    '-c',
    `ipvsadm -A -t ${foreign} -s rr && ipvsadm -a -t ${foreign} -r ${hostPort(addresses.host(98), 9)} -m`,
  ]);

  await check('has all that it needs', async () => {
    assert.deepEqual(await ipvs.probe(node.run, { family, clusterCidr: undefined, ipvsScheduler: 'nq' }), []);
  });
  await check('a cluster IP leads to all endpoints, from a pod and from a node, with the pod as client', async () => {
    await cluster.sync([forwardedPort(cluster, { clusterIp })]);
    for (const from of [first, node]) {
      assert.deepEqual((await inTurn(cluster, from, clusterIp, 80, 3)).sort(), three);
    }
    await cluster.sync([forwardedPort(cluster, { clusterIp, clusterEndpoints: endpointsOfPods(cluster, 1, [2]) })]);
    assert.deepEqual(await lab.ask(first, clusterIp, 80), { name: 'pod-2', client: first.ip });
  });
  await check('a pod reaches itself through its Service', async () => {
    await cluster.sync([forwardedPort(cluster, { clusterIp, clusterEndpoints: endpointsOfPods(cluster, 1, [0]) })]);
    assert.equal((await lab.ask(first, clusterIp, 80)).name, 'pod-0');
  });
  await check('a node port answers from outside, from pods and from nodes', async () => {
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort })]);
    for (const from of [lab.outside, node, first]) {
      assert.deepEqual((await inTurn(cluster, from, node.ip, nodePort, 3)).sort(), three);
    }
  });
  await check('node ports answer only on the addresses that they are to', async () => {
    cluster.restart({ nodePortAddresses: [addresses.clusterCidr] });
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort })]);
    await assert.rejects(lab.ask(lab.outside, node.ip, nodePort), /refused/);
    cluster.restart({ nodePortAddresses: [addresses.foreign, hostRange(node.ip)] });
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort })]);
    assert.deepEqual((await inTurn(cluster, lab.outside, node.ip, nodePort, 3)).sort(), three);
    cluster.restart();
  });
  await check('externalTrafficPolicy Local keeps the client and stays on the node', async () => {
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort, externalPolicy: 'local' })]);
    assert.deepEqual((await inTurn(cluster, lab.outside, node.ip, nodePort, 4)).sort(), [
      'pod-0',
      'pod-0',
      'pod-1',
      'pod-1',
    ]);
    assert.equal((await lab.ask(lab.outside, node.ip, nodePort)).client, lab.outside.ip);
  });
  await check('externalTrafficPolicy Local without local endpoints drops what comes from outside only', async () => {
    const clusterEndpoints = endpointsOfPods(cluster, 1, [2]);
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort, clusterEndpoints, externalPolicy: 'local' })]);
    await assert.rejects(lab.ask(lab.outside, node.ip, nodePort), /timed out/i);
    for (const from of [first, node]) assert.equal((await lab.ask(from, node.ip, nodePort)).name, 'pod-2');
  });
  await check('internalTrafficPolicy Local stays on the node', async () => {
    await cluster.sync([forwardedPort(cluster, { clusterIp, internalPolicy: 'local' })]);
    const names = await inTurn(cluster, first, clusterIp, 80, 4);
    assert.deepEqual(names.sort(), ['pod-0', 'pod-0', 'pod-1', 'pod-1']);
  });
  await check("a load balancer's address answers the source ranges and nobody else", async () => {
    const port = forwardedPort(cluster, { clusterIp, loadBalancerIps: [loadBalancerIp] });
    await cluster.sync([{ ...port, sourceRanges: [hostRange(lab.node(2).ip)] }]);
    await assert.rejects(lab.ask(lab.outside, loadBalancerIp, 80), /timed out/i);
    assert.deepEqual((await inTurn(cluster, lab.node(2), loadBalancerIp, 80, 3)).sort(), three);
  });
  await check('an external address leads to the endpoints', async () => {
    await cluster.sync([forwardedPort(cluster, { clusterIp, externalIps: [addresses.host(200)] })]);
    assert.deepEqual((await inTurn(cluster, node, addresses.host(200), 80, 3)).sort(), three);
  });
  await check(
    'without endpoints a connection is refused, and so is a port that the Service does not have',
    async () => {
      await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort, clusterEndpoints: [] })]);
      for (const from of [first, node]) await assert.rejects(lab.ask(from, clusterIp, 80), /refused/);
      await assert.rejects(lab.ask(lab.outside, node.ip, nodePort), /refused/);
      await assert.rejects(lab.ask(first, clusterIp, 9999), /refused/);
      assert.equal((await lab.ask(first, node.ip, 9999)).name, 'node-itself');
    },
  );
  await check('session affinity keeps a client on its endpoint', async () => {
    await cluster.sync([forwardedPort(cluster, { clusterIp, affinitySeconds: 100 })]);
    assert.deepEqual(counts(await inTurn(cluster, first, clusterIp, 80, 4)), [4]);
  });
  await check('UDP is balanced', async () => {
    await cluster.sync([forwardedPort(cluster, { name: 'default/dns:/udp', protocol: 'udp', clusterIp })]);
    const names = [];
    for (let time = 0; time < 3; time++) names.push((await lab.ask(first, clusterIp, 80, { protocol: 'udp' })).name);
    assert.deepEqual(names.sort(), three);
  });
  // How a scheduler chooses has nothing to do with the family.
  for (const scheduler of family === 'IPv4' ? schedulers : schedulers.slice(0, 1)) {
    await check(`the scheduler ${scheduler} balances connections its way`, () => balanceBy(scheduler, cluster));
  }
  await check('an endpoint that leaves keeps its connections and gets no new ones', async () => {
    cluster.restart();
    const port = (indices: number[]) =>
      forwardedPort(cluster, {
        clusterIp,
        clusterEndpoints: endpointsOfPods(cluster, 1, indices).map(endpoint => ({ ...endpoint, port: 8082 })),
      });
    await cluster.sync([port([1])]);
    const connection = await lab.hold(first, clusterIp, 80);
    assert.equal(connection.name, 'pod-1');
    await cluster.sync([port([2])]);
    assert.equal(await connection.echo('still there?'), 'still there?');
    const other = await lab.hold(first, clusterIp, 80);
    assert.equal(other.name, 'pod-2');
    await Promise.all([connection.close(), other.close()]);
  });
  await check('what an earlier process left is put right, and what others balance is left alone', async () => {
    await cluster.sync([
      forwardedPort(cluster, { name: 'default/gone:/tcp/80', clusterIp: addresses.clusterIp(99), nodePort: 30099 }),
    ]);
    cluster.restart();
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort })]);
    const saved = await node.run('ipvsadm', ['--save', '-n']);
    assert.ok(!saved.includes(addresses.clusterIp(99)) && !saved.includes('30099'));
    assert.ok(saved.includes(foreign));
    assert.deepEqual((await inTurn(cluster, first, clusterIp, 80, 3)).sort(), three);
  });
  await check('is put right when others have deleted parts of it', async () => {
    await cluster.sync([forwardedPort(cluster, { clusterIp, nodePort })]);
    await node.run('ipvsadm', ['-D', '-t', hostPort(clusterIp, 80)]);
    await node.run('ipset', ['flush']);
    await cluster.syncFull();
    assert.deepEqual((await inTurn(cluster, first, clusterIp, 80, 3)).sort(), three);
    assert.deepEqual((await inTurn(cluster, lab.outside, node.ip, nodePort, 3)).sort(), three);
  });
  await check('what the kernel refuses is tried again, and the next full sync puts all right', async () => {
    const good = forwardedPort(cluster, { clusterIp, nodePort });
    await cluster.sync([good]);
    const impossible = { address: first.ip, port: 99_999, local: true };
    const refused = {
      name: 'default/refused:/tcp/80',
      clusterIp: addresses.clusterIp(50),
      clusterEndpoints: [impossible],
    };
    const moved = forwardedPort(cluster, { clusterIp, nodePort, clusterEndpoints: endpointsOfPods(cluster, 1, [2]) });
    await assert.rejects(cluster.sync([moved, forwardedPort(cluster, refused)]), /failed with exit code/);
    await cluster.syncFull();
    assert.deepEqual((await inTurn(cluster, first, clusterIp, 80, 3)).sort(), three);
    assert.deepEqual((await inTurn(cluster, lab.outside, node.ip, nodePort, 3)).sort(), three);
  });
  await check('cleanup leaves nothing of ours and everything of others', async () => {
    await cluster.cleanup();
    assert.equal((await node.run('ipvsadm', ['--save', '-n'])).trim().split('\n').length, 2);
    await node.run('ipvsadm', ['-D', '-t', foreign]);
    assert.doesNotMatch(await node.run('ip', ['link']), /kube-ipvs0/);
    assert.doesNotMatch(await node.run(`${iptablesProgram[family]}-save`, []), /NARU-IPVS/);
    assert.equal(await node.run('ipset', ['list', '-name']), '');
    await ipvs.build({ run: node.run, config: { family, clusterCidr: undefined }, logger: silentLogger }).cleanup();
  });
}

async function main(): Promise<void> {
  const cluster = await setUpCluster(ipvs, { nodes: 2, backend: 'host-gw' });
  const { lab, pods } = cluster;
  for (const [index, pod] of pods.entries()) await lab.serveHolding(pod, 8082, `pod-${index}`);
  await lab.serve(lab.node(1), 9999, 'node-itself');
  for (family of ipFamilies) {
    cluster.use(family);
    await testFamily(cluster);
  }
  await cluster.close();
}

main().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
