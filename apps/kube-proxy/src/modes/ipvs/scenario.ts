import assert from 'node:assert/strict';
import { hostPort } from '@naru/foundation';
import { checkInScenario, runScenario } from '@naru/testing';
import { ipFamilies, isIpv6 } from '../../desired/ip-family';
import { everyPod, ModeBench } from '../../testing/mode-bench';
import { modeCases } from '../../testing/mode-cases';
import type { Place } from '../../testing/network-lab';
import { ProxiedServices, serveMore } from '../../testing/proxied-services';
import { restartCases, serviceCases } from '../../testing/service-cases';
import { setUpCluster, type TestCluster } from '../../testing/test-cluster';
import { schedulers, type Scheduler } from './virtual-server';
import { ipvs } from '.';

const nodePort = 30080;

/** The names that `times` connections one after the other led to, in order. */
async function inTurn(bench: ModeBench, times: number): Promise<string[]> {
  const names: string[] = [];
  for (let time = 0; time < times; time++) {
    names.push((await bench.ask(bench.cluster.pods[0] as Place, bench.clusterIp, 80)).name);
  }
  return names;
}

function counts(names: readonly string[]): number[] {
  const found = new Map<string, number>();
  for (const name of names) found.set(name, (found.get(name) ?? 0) + 1);
  return [...found.values()].sort();
}

async function balanceBy(scheduler: Scheduler, bench: ModeBench): Promise<void> {
  const { clusterIp, cluster } = bench;
  const { lab, pods } = cluster;
  cluster.restart({ ipvsScheduler: scheduler });
  await cluster.sync([bench.port({ nodePort }), bench.port({ name: 'default/hold:/tcp/82', port: 82, podPort: 8082 })]);
  const client = pods[0] as Place;
  const saved = await lab.node(1).run('ipvsadm', ['--save', '-n']);
  assert.ok(saved.includes(`-A -t ${hostPort(clusterIp, 80)} -s ${scheduler}`));
  if (scheduler === 'rr') assert.deepEqual(counts(await inTurn(bench, 6)), [2, 2, 2]);
  else if (scheduler === 'dh') assert.deepEqual(counts(await inTurn(bench, 4)), [4]);
  else if (scheduler === 'sh') await balanceBySource(bench);
  else {
    // By connections: each goes to who has none, and who has lost his is next.
    const connections = [];
    for (let at = 0; at < 3; at++) connections.push(await lab.hold(client, clusterIp, 82));
    assert.deepEqual(connections.map(({ name }) => name).sort(), everyPod);
    const [, freed] = connections;
    await freed?.close();
    const next = await lab.hold(client, clusterIp, 82);
    assert.equal(next.name, freed?.name);
    await Promise.all([connections[0], connections[2], next].map(connection => connection?.close()));
  }
}

/** A client stays where it is; clients differ. */
async function balanceBySource(bench: ModeBench): Promise<void> {
  const { lab, addresses } = bench.cluster;
  const found = new Set<string>();
  const sources = Array.from({ length: 8 }, (_, index) => addresses.host(101 + index));
  const lines = sources.map(
    source => `addr replace ${source}/${addresses.hostBits} dev br0${isIpv6(source) ? ' nodad' : ''}`,
  );
  await lab.outside.run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
  for (const localAddress of sources) {
    const ask = () => bench.ask(lab.outside, lab.node(1).ip, nodePort, { localAddress });
    const { name } = await ask();
    assert.equal((await ask()).name, name, `of the client ${localAddress}`);
    found.add(name);
  }
  assert.ok(found.size > 1, `all clients were given ${[...found].join()}`);
}

/** Of what is ipvs's own. */
async function checkOwn(bench: ModeBench, check: typeof checkInScenario): Promise<void> {
  const { clusterIp, cluster } = bench;
  const { lab } = cluster;
  const node = lab.node(1);
  const first = cluster.pods[0] as Place;
  await check('a port that the Service does not have is refused, and the node has its own', async () => {
    await cluster.sync([bench.port({ nodePort })]);
    await bench.refused(first, clusterIp, 9999);
    assert.equal((await bench.ask(first, node.ip, 9999)).name, 'node-itself');
  });
  await check(
    'an endpoint that leaves goes at once when it has no connections, and else keeps them with weight 0',
    async () => {
      const port = (at: number) =>
        bench.port({ clusterIp: cluster.addresses.clusterIp(60), pods: [at], podPort: 8082 });
      const reals = async (): Promise<string[]> => {
        const saved = (await node.run('ipvsadm', ['--save', '-n'])).split('\n');
        return saved.filter(line => line.startsWith(`-a -t ${hostPort(port(0).clusterIp, 80)} `)).sort();
      };
      const real = (at: number, weight: number): string =>
        `-a -t ${hostPort(port(0).clusterIp, 80)} -r ${hostPort(cluster.pods[at]?.ip ?? '', 8082)} -m -w ${weight}`;
      await cluster.sync([port(0)]);
      await cluster.sync([port(1)]);
      assert.deepEqual(await reals(), [real(1, 1)]);
      const connection = await lab.hold(first, port(1).clusterIp, 80);
      await cluster.sync([port(2)]);
      assert.deepEqual(await reals(), [real(1, 0), real(2, 1)].sort());
      await connection.close();
    },
  );
  await check('what the kernel refuses is tried again, and the next full sync puts all right', async () => {
    await cluster.sync([bench.port({ nodePort })]);
    const refused = cluster.sync([bench.port({ nodePort, pods: [2] }), bench.refusedPort()]);
    await assert.rejects(refused, /failed with exit code/);
    await cluster.syncFull();
    await bench.answer(everyPod, first, clusterIp, 80);
    await bench.answer(everyPod, lab.outside, node.ip, nodePort);
  });
  // How a scheduler chooses has nothing to do with the family.
  for (const scheduler of lab.family === 'IPv4' ? schedulers : schedulers.slice(0, 1)) {
    await check(`the scheduler ${scheduler} balances connections its way`, () => balanceBy(scheduler, bench));
  }
  cluster.restart();
}

async function checkServices(cluster: TestCluster, check: typeof checkInScenario): Promise<void> {
  const bench = new ProxiedServices({ cluster, mode: ipvs, rules: () => cluster.rulesOf(ipvs) });
  await bench.start();
  for (const { name, run } of [...serviceCases, ...restartCases]) {
    await check(name, () => run(bench));
    await bench.clear();
  }
  await bench.close();
}

/** Each check is told with the family in front of its name. */
async function main(): Promise<void> {
  const cluster = await setUpCluster(ipvs, { nodes: 2, backend: 'host-gw' });
  const { lab } = cluster;
  await serveMore(cluster);
  await lab.serve(lab.node(1), 9999, 'node-itself');
  const bench = new ModeBench(ipvs, cluster);
  for (const family of ipFamilies) {
    cluster.use(family);
    const check: typeof checkInScenario = (name, work) => checkInScenario(`${family} ${name}`, work);
    await bench.traces.plantForeign();
    await checkOwn(bench, check);
    for (const { name, run } of modeCases) await check(name, () => run(bench));
    if (family === 'IPv4') await checkServices(cluster, check);
  }
  await cluster.close();
}

runScenario(main);
