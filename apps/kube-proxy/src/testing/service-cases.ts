import assert from 'node:assert/strict';
import { services, type Service, type ServicePort } from '@naru/api';
import { hostRange } from '../desired/ip-family';
import { everyPod } from './mode-bench';
import type { HeldConnection } from './place-agent';
import type { ProxiedServices } from './proxied-services';

/** One thing that a Service or a slice asks for, to be found by packets in every mode. What it made is cleared after it. */
export interface ServiceCase {
  name: string;
  run: (bench: ProxiedServices) => Promise<void>;
}

const loadBalancerIp = '192.168.77.210';
const nodePort = 30081;
const leaving = { conditions: { ready: false, serving: true, terminating: true } };
const unready = { conditions: { ready: false, serving: false, terminating: false } };
const published = { conditions: { ready: true, serving: false, terminating: false } };

export const serviceCases: readonly ServiceCase[] = [
  {
    name: 'several ports lead where the slices say that their names lead',
    async run(bench) {
      const ports: ServicePort[] = [
        { name: 'http', port: 80, targetPort: 'web' },
        { name: 'other', port: 81, targetPort: 'side' },
      ];
      await bench.make(bench.service({ ports }), bench.slice([1, 2]));
      await bench.answer(['pod-1', 'pod-2']);
      await bench.answer(['other-1', 'other-2'], { port: 81 });
    },
  },
  {
    name: 'a load balancer leads to pods by its address and its node port, or without one',
    async run(bench) {
      const { lab, api } = bench;
      const { outside } = lab;
      const node = lab.node(1);
      await outside.run('ip', ['route', 'replace', hostRange(loadBalancerIp), 'via', node.ip]);
      const balanced = (ports: ServicePort[]): Service => ({
        ...bench.service({ type: 'LoadBalancer', ports, allocateLoadBalancerNodePorts: false }),
        status: { loadBalancer: { ingress: [{ ip: loadBalancerIp }] } },
      });
      await bench.make(balanced([{ name: 'http', port: 80, nodePort }]), bench.slice([0, 1, 2]));
      await bench.answer(everyPod, { ip: loadBalancerIp, from: outside });
      await bench.answer(everyPod, { ip: node.ip, port: nodePort, from: outside });
      await api.update(services, balanced([{ name: 'http', port: 80 }]));
      await bench.soon(() => assert.rejects(lab.ask(outside, node.ip, nodePort), /refused/));
      await bench.answer(everyPod, { ip: loadBalancerIp, from: outside });
    },
  },
  {
    name: 'PreferSameNode keeps traffic on the node while it has an endpoint',
    async run(bench) {
      await bench.make(bench.service({ trafficDistribution: 'PreferSameNode' }), bench.slice([0, 1, 2]));
      await bench.answer(['pod-0', 'pod-1']);
      await bench.tell(bench.slice([2]));
      await bench.answer(['pod-2']);
    },
  },
  {
    name: 'hints keep traffic in the zone of the node',
    async run(bench) {
      bench.proxy?.setZone('here');
      const zones = ['there', 'here', 'there'];
      const hinted = bench.slice([0, 1, 2], pod => ({ hints: { forZones: [{ name: zones[pod] ?? '' }] } }));
      await bench.make(bench.service({ trafficDistribution: 'PreferSameZone' }), hinted);
      await bench.answer(['pod-1']);
      bench.proxy?.setZone('there');
      await bench.answer(['pod-0', 'pod-2']);
    },
  },
  {
    name: 'an endpoint that terminates serves while nobody is ready, and an unready one does not',
    async run(bench) {
      await bench.make(
        bench.service(),
        bench.slice([1, 2], pod => (pod === 1 ? leaving : unready)),
      );
      await bench.answer(['pod-1']);
      await bench.tell(bench.slice([1, 2], pod => (pod === 1 ? leaving : {})));
      await bench.answer(['pod-2']);
    },
  },
  {
    name: 'an endpoint that is published though it is not ready serves like the others',
    async run(bench) {
      const slice = bench.slice([0, 1, 2], pod => [unready, published, {}][pod] ?? {});
      await bench.make(bench.service({ publishNotReadyAddresses: true }), slice);
      await bench.answer(['pod-1', 'pod-2']);
    },
  },
  {
    name: 'a UDP client that keeps its port follows when its endpoint goes',
    async run(bench) {
      const ask = async (): Promise<string> => {
        const options = { protocol: 'udp', sourcePort: 40_081, timeoutMs: 1_000 } as const;
        return (await bench.lab.ask(bench.client, bench.clusterIp, 53, options)).name;
      };
      await bench.make(bench.service({ ports: [{ name: 'dns', port: 53, protocol: 'UDP' }] }), bench.slice([1]));
      await bench.soon(async () => assert.equal(await ask(), 'pod-1'));
      await bench.tell(bench.slice([2]));
      await bench.soon(async () => assert.equal(await ask(), 'pod-2'));
    },
  },
];

/** Of the modes whose connections are the kernel's; those of userspace are the process's own, and end with it. */
export const restartCases: readonly ServiceCase[] = [
  {
    name: 'a connection outlives the process, and its endpoint in the rules of the next one',
    async run(bench) {
      await bench.make(bench.service({ ports: [{ name: 'held', port: 80 }] }), bench.slice([1]));
      const hold = (): Promise<HeldConnection> => bench.lab.hold(bench.client, bench.clusterIp, 80);
      const held = await bench.soon(hold);
      await bench.stop();
      await bench.tell(bench.slice([2]));
      assert.equal(await held.echo('without a process?'), 'without a process?');
      await bench.start();
      const other = await bench.soon(async () => {
        const connection = await hold();
        if (connection.name !== 'pod-2') await connection.close();
        assert.equal(connection.name, 'pod-2');
        return connection;
      });
      assert.equal(await held.echo('with the next?'), 'with the next?');
      await Promise.all([held.close(), other.close()]);
    },
  },
];
