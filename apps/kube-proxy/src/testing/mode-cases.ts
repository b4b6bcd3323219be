import assert from 'node:assert/strict';
import { hostRange } from '../desired/ip-family';
import { holdLine, releaseLine } from '../held-addresses';
import { everyPod, type ModeBench } from './mode-bench';
import type { Place } from './network-lab';

/** One thing that packets are to find in every mode that has rules, of either family. */
export interface ModeCase {
  name: string;
  run: (bench: ModeBench) => Promise<void>;
}

const nodePort = 30080;

function places({ cluster }: ModeBench): { pod: Place; node: Place; otherNode: Place; outside: Place } {
  const { lab, pods } = cluster;
  return { pod: pods[0] as Place, node: lab.node(1), otherNode: lab.node(2), outside: lab.outside };
}

/** In this order; rules of others are planted before the first, and the last leaves nothing of the mode. */
export const modeCases: readonly ModeCase[] = [
  {
    name: 'has all that it needs',
    async run({ mode, cluster: { lab } }) {
      const config = { family: lab.family, clusterCidr: undefined, ipvsScheduler: 'nq' } as const;
      assert.deepEqual(await mode.probe(lab.node(1).run, config), []);
    },
  },
  {
    name: 'a cluster IP leads to all endpoints, from a pod and from a node, with the pod as client',
    async run(bench) {
      const { pod, node } = places(bench);
      await bench.cluster.sync([bench.port()]);
      for (const from of [pod, node]) await bench.answer(everyPod, from, bench.clusterIp, 80);
      await bench.cluster.sync([bench.port({ pods: [2] })]);
      assert.deepEqual(await bench.ask(pod, bench.clusterIp, 80), { name: 'pod-2', client: pod.ip });
    },
  },
  {
    name: 'a pod reaches itself through its Service',
    async run(bench) {
      const { pod } = places(bench);
      await bench.cluster.sync([bench.port({ pods: [0] })]);
      const { name, client } = await bench.ask(pod, bench.clusterIp, 80);
      assert.equal(name, 'pod-0');
      assert.notEqual(client, pod.ip);
    },
  },
  {
    name: 'a node port answers on every node from outside, from pods and from nodes',
    async run(bench) {
      const { pod, node, otherNode, outside } = places(bench);
      await bench.cluster.sync([bench.port({ nodePort })]);
      for (const from of [outside, otherNode, node, pod]) await bench.answer(everyPod, from, node.ip, nodePort);
    },
  },
  {
    name: 'an external address leads to the endpoints',
    async run(bench) {
      const externalIp = bench.cluster.addresses.host(200);
      await bench.cluster.sync([bench.port({ externalIps: [externalIp] })]);
      await bench.answer(everyPod, places(bench).node, externalIp, 80);
    },
  },
  {
    name: "a load balancer's address answers the source ranges and the node that holds it, and nobody else",
    async run(bench) {
      const { node, otherNode, outside } = places(bench);
      const { addresses, sync } = bench.cluster;
      const loadBalancerIp = addresses.host(201);
      const towardsNode1 = ['route', 'replace', hostRange(loadBalancerIp), 'via', node.ip];
      for (const place of [outside, otherNode]) await place.run('ip', towardsNode1);
      const port = bench.port({ loadBalancerIps: [loadBalancerIp] });
      await sync([port]);
      await bench.answer(everyPod, outside, loadBalancerIp, 80);
      await sync([{ ...port, sourceRanges: [hostRange(otherNode.ip), addresses.foreign] }]);
      await bench.dropped(outside, loadBalancerIp, 80);
      await bench.answer(everyPod, otherNode, loadBalancerIp, 80);
      const held = { link: 'lo', address: loadBalancerIp };
      await node.run('ip', ['-batch', '-'], `${holdLine(held)}\n`);
      await bench.answer(everyPod, node, loadBalancerIp, 80);
      await node.run('ip', ['-batch', '-'], `${releaseLine(held)}\n`);
      await sync([port]);
      await bench.answer(everyPod, outside, loadBalancerIp, 80);
    },
  },
  {
    name: 'node ports answer only on the addresses that they are to',
    async run(bench) {
      const { node, outside } = places(bench);
      const { addresses, restart, sync } = bench.cluster;
      restart({ nodePortAddresses: [addresses.clusterCidr] });
      await sync([bench.port({ nodePort })]);
      await bench.refused(outside, node.ip, nodePort);
      restart({ nodePortAddresses: [addresses.foreign, hostRange(node.ip)] });
      await sync([bench.port({ nodePort })]);
      await bench.answer(everyPod, outside, node.ip, nodePort);
      restart();
    },
  },
  {
    name: 'externalTrafficPolicy Local keeps the client and stays on the node',
    async run(bench) {
      const { node, outside } = places(bench);
      await bench.cluster.sync([bench.port({ nodePort, externalPolicy: 'local' })]);
      await bench.answer(['pod-0', 'pod-1'], outside, node.ip, nodePort);
      assert.equal((await bench.ask(outside, node.ip, nodePort)).client, outside.ip);
    },
  },
  {
    name: 'externalTrafficPolicy Local without local endpoints drops what comes from outside only',
    async run(bench) {
      const { pod, node, outside } = places(bench);
      await bench.cluster.sync([bench.port({ nodePort, pods: [2], externalPolicy: 'local' })]);
      await bench.dropped(outside, node.ip, nodePort);
      for (const from of [pod, node]) assert.equal((await bench.ask(from, node.ip, nodePort)).name, 'pod-2');
    },
  },
  {
    name: 'internalTrafficPolicy Local stays on the node',
    async run(bench) {
      await bench.cluster.sync([bench.port({ internalPolicy: 'local' })]);
      await bench.answer(['pod-0', 'pod-1'], places(bench).pod, bench.clusterIp, 80);
    },
  },
  {
    name: 'session affinity keeps a client on its endpoint through syncs',
    async run(bench) {
      const { pod, node, outside } = places(bench);
      const { addresses, sync, syncFull } = bench.cluster;
      const port = bench.port({ nodePort, affinitySeconds: 10_800 });
      await sync([port]);
      const name = await bench.oneAnswers(pod, bench.clusterIp, 80);
      await sync([port, bench.port({ name: 'default/other:/tcp/80', clusterIp: addresses.clusterIp(11) })]);
      await syncFull();
      assert.equal(await bench.oneAnswers(pod, bench.clusterIp, 80), name);
      await bench.oneAnswers(outside, node.ip, nodePort);
    },
  },
  {
    name: 'session affinity ends when a client was away for as long as it says',
    async run(bench) {
      const { pod, node } = places(bench);
      // IPVS keeps a client where it is while it knows of a flow of its, and forgets those of TCP after minutes only.
      const byIpvs = bench.mode.name === 'ipvs';
      const protocol = byIpvs ? 'udp' : 'tcp';
      if (byIpvs) await node.run('ipvsadm', ['--set', '0', '0', '1']);
      await bench.cluster.sync([bench.port({ name: 'default/brief:', protocol, affinitySeconds: 2 })]);
      const seen = new Set<string>();
      for (let attempt = 0; attempt < 30 && seen.size < 2; attempt++) {
        if (attempt > 0) await new Promise(resolve => setTimeout(resolve, 2_100));
        seen.add((await bench.ask(pod, bench.clusterIp, 80, { protocol })).name);
      }
      if (byIpvs) await node.run('ipvsadm', ['--set', '0', '0', '300']);
      assert.ok(seen.size > 1, `only ${[...seen].join()} has answered`);
    },
  },
  {
    name: 'without endpoints a connection is refused at once, from pod, node and outside',
    async run(bench) {
      const { pod, node, outside } = places(bench);
      await bench.cluster.sync([bench.port({ nodePort, pods: [] })]);
      for (const from of [pod, node]) await bench.refused(from, bench.clusterIp, 80);
      await bench.refused(outside, node.ip, nodePort);
    },
  },
  {
    name: 'UDP is forwarded',
    async run(bench) {
      await bench.cluster.sync([bench.port({ name: 'default/dns:/udp', protocol: 'udp' })]);
      const options = { protocol: 'udp', timeoutMs: 2_000 } as const;
      const seen = new Set<string>();
      // Nobody sends a datagram again that was lost, and endpoints may be chosen at random.
      for (let attempt = 0; attempt < 40 && seen.size < 2; attempt++) {
        const answer = await bench.ask(places(bench).pod, bench.clusterIp, 80, options).catch(() => undefined);
        if (answer) seen.add(answer.name);
      }
      assert.ok(seen.size > 1, `only ${[...seen].join()} has answered`);
    },
  },
  {
    name: 'an endpoint that leaves keeps its connections and gets no new ones',
    async run(bench) {
      const { lab, sync } = bench.cluster;
      const { pod } = places(bench);
      const { clusterIp } = bench;
      const port = (at: number) => bench.port({ pods: [at], podPort: 8082 });
      await sync([port(1)]);
      const connection = await lab.hold(pod, clusterIp, 80);
      await sync([port(2)]);
      assert.equal(await connection.echo('still there?'), 'still there?');
      const other = await lab.hold(pod, clusterIp, 80);
      assert.deepEqual([connection.name, other.name], ['pod-1', 'pod-2']);
      await Promise.all([connection.close(), other.close()]);
    },
  },
  {
    name: 'a change of endpoints touches only what changed, and a full sync afterwards changes nothing',
    async run(bench) {
      const { pod } = places(bench);
      const { addresses, sync, syncFull } = bench.cluster;
      const others = Array.from({ length: 20 }, (_, index) =>
        bench.port({
          name: `default/other-${index}:/tcp/80`,
          clusterIp: addresses.clusterIp(0x100 + index),
          nodePort: 31_000 + index,
        }),
      );
      await sync([...others, bench.port({ nodePort })]);
      for (const pods of [[0, 2], [2], [1, 2], [], [0, 1, 2]]) {
        await sync([...others, bench.port({ nodePort, pods })]);
        if (pods.length === 0) await bench.refused(pod, bench.clusterIp, 80);
        else
          await bench.answer(
            pods.map(at => `pod-${at}`),
            pod,
            bench.clusterIp,
            80,
          );
      }
      const lines = async () => (await bench.traces.own()).split('\n');
      const before = await lines();
      await syncFull();
      const after = await lines();
      const apart = (them: string[], without: string[]): string[] => them.filter(line => !without.includes(line));
      assert.deepEqual({ gone: apart(before, after), come: apart(after, before) }, { gone: [], come: [] });
    },
  },
  {
    name: 'what an earlier process left is put right, also when its structure differs',
    async run(bench) {
      const { addresses, restart, sync } = bench.cluster;
      const gone = { name: 'default/gone:/tcp/80', clusterIp: addresses.clusterIp(99), nodePort: 30099 };
      await sync([bench.port({ ...gone, affinitySeconds: 100, externalPolicy: 'local' }), bench.port()]);
      restart();
      await sync([bench.port({ nodePort })]);
      const own = await bench.traces.own();
      assert.ok(!own.includes(gone.clusterIp) && !own.includes(String(gone.nodePort)), own);
      assert.ok(await bench.traces.hasForeign());
      await bench.answer(everyPod, places(bench).pod, bench.clusterIp, 80);
    },
  },
  {
    name: 'is put right when others have deleted parts of it',
    async run(bench) {
      const { pod, node, outside } = places(bench);
      await bench.cluster.sync([bench.port({ nodePort })]);
      await bench.traces.damage();
      await bench.cluster.syncFull();
      await bench.answer(everyPod, pod, bench.clusterIp, 80);
      await bench.answer(everyPod, outside, node.ip, nodePort);
    },
  },
  {
    name: "what listens on a node's loopback address is asked by the node alone, also when a pod there has host ports",
    async run(bench) {
      const { lab, sync } = bench.cluster;
      const { node } = places(bench);
      // IPv6 has nothing like route_localnet.
      if (lab.family === 'IPv6') return;
      await sync([bench.port()]);
      await lab.serve(node, 9990, 'of-the-node');
      const portMappings = [{ hostPort: 18_080, containerPort: 8080, protocol: 'tcp' }];
      const pod = await lab.addPod(lab.node(1), { portMappings });
      await lab.serve(pod, 8080, 'with-host-port');
      // What somebody with raw sockets would send: to the node by link, to its loopback by address.
      await pod.run('ip', ['address', 'flush', 'dev', 'lo']);
      await pod.run('sh', ['-ec', 'echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet']);
      const gateway = /via (\S+)/.exec(await pod.run('ip', ['-4', 'route', 'show', 'default']))?.[1] ?? '';
      await pod.run('ip', ['route', 'add', '127.0.0.0/8', 'via', gateway, 'src', pod.ip]);
      await bench.dropped(pod, '127.0.0.1', 9990);
      assert.equal((await bench.ask(node, '127.0.0.1', 9990)).name, 'of-the-node');
      assert.equal((await bench.ask(node, '127.0.0.1', 18_080)).name, 'with-host-port');
      assert.equal((await bench.ask(pod, node.ip, 9990)).name, 'of-the-node');
    },
  },
  {
    name: 'cleanup leaves no rule of ours and every rule of others',
    async run(bench) {
      await bench.cluster.sync([bench.port({ nodePort, affinitySeconds: 10 })]);
      await bench.cluster.cleanup();
      assert.equal(await bench.traces.own(), '');
      assert.ok(await bench.traces.hasForeign());
      await bench.cluster.cleanup();
    },
  },
];
