import {
  endpointSlices,
  services,
  type Endpoint,
  type EndpointSlice,
  type Service,
  type ServicePort as ApiServicePort,
} from '@naru/api';
import { InformerFactory, NatsFeed, feedStream } from '@naru/client';
import { createMetrics, silentLogger, systemClock } from '@naru/foundation';
import { eventually, MemoryObjects, NatsTestServer } from '@naru/testing';
import { connect } from 'nats';
import { createProxyMetrics } from './metrics';
import type { RuleSync } from './modes/mode';
import { iptables } from './modes/iptables';
import { nftables } from './modes/nftables';
import { userspace } from './modes/userspace';
import { ServiceProxy } from './service-proxy';
import { hostRange } from './desired/ip-family';
import type { HeldConnection } from './testing/place-agent';
import { describeInKernel } from './testing/require-kernel';
import { setUpCluster, type TestCluster } from './testing/test-cluster';
import { UserspaceProcess } from './testing/userspace-process';

const clusterIp = '10.96.0.80';
const loadBalancerIp = '192.168.77.210';
const nodePort = 30081;
const key = { namespace: 'default', name: 'web' };

/** What a Service or a slice says, through each mode, to packets between pods of two nodes. */
describeInKernel('what Services ask for', () => {
  let cluster: TestCluster;
  let process: UserspaceProcess;

  beforeAll(async () => {
    cluster = await setUpCluster(nftables, { nodes: 2, backend: 'host-gw' });
    const { lab, pods } = cluster;
    for (const [index, pod] of pods.entries()) {
      await lab.serve(pod, 8081, `other-${index}`);
      await lab.serveHolding(pod, 8082, `pod-${index}`);
    }
    await lab.outside.run('ip', ['route', 'replace', hostRange(loadBalancerIp), 'via', lab.node(1).ip]);
    process = UserspaceProcess.start(lab, lab.node(1));
  }, 60_000);
  afterAll(async () => {
    await process?.kill();
    await cluster?.close();
  });

  function startProxy(rules: RuleSync, informers: InformerFactory): ServiceProxy {
    return new ServiceProxy({
      nodeName: 'node-1',
      families: [{ family: 'IPv4', rules }],
      informers,
      run: cluster.lab.node(1).run,
      metrics: createProxyMetrics(createMetrics()),
      followers: [],
      clock: systemClock,
      logger: silentLogger,
      minSyncPeriodMs: 10,
      fullSyncPeriodMs: 3_600_000,
    });
  }

  function webService(spec: Service['spec'] = {}): Service {
    return { metadata: key, spec: { clusterIP: clusterIp, ports: [{ name: 'http', port: 80 }], ...spec } };
  }

  /** The pods with these indices; `of` says more of one. */
  function webSlice(pods: number[], of: (pod: number) => Partial<Endpoint> = () => ({})): EndpointSlice {
    return {
      metadata: { ...key, labels: { 'kubernetes.io/service-name': 'web' } },
      addressType: 'IPv4',
      ports: [
        { name: 'http', port: 8080, protocol: 'TCP' },
        { name: 'other', port: 8081, protocol: 'TCP' },
        { name: 'held', port: 8082, protocol: 'TCP' },
        { name: 'dns', port: 8080, protocol: 'UDP' },
      ],
      endpoints: pods.map(index => ({
        addresses: [cluster.pods[index]!.ip],
        nodeName: index < 2 ? 'node-1' : 'node-2',
        conditions: { ready: true },
        ...of(index),
      })),
    };
  }

  describe.each(['nftables', 'iptables', 'userspace'] as const)('of the mode %s', mode => {
    let rules: RuleSync;
    let api: MemoryObjects;
    let proxy: ServiceProxy;
    let stopping: AbortController;

    /** As a process that comes to rules which an earlier one may have left. */
    async function start(): Promise<void> {
      const config = { family: 'IPv4', clusterCidr: cluster.addresses.clusterCidr } as const;
      const { run } = cluster.lab.node(1);
      const inKernel = { nftables, iptables, userspace }[mode];
      rules = mode === 'userspace' ? process.rules('IPv4') : inKernel.build({ run, config, logger: silentLogger });
      stopping = new AbortController();
      const informers = api.informers();
      proxy = startProxy(rules, informers);
      await informers.start(stopping.signal);
      proxy.start();
    }

    beforeAll(async () => {
      api = new MemoryObjects();
      await start();
    });
    afterAll(async () => {
      stopping.abort();
      await proxy.stop();
      await rules.cleanup();
    });
    afterEach(async () => {
      await api.delete(services, key);
      await api.delete(endpointSlices, key);
    });

    async function make(service: Service, slice: EndpointSlice): Promise<void> {
      await api.create(endpointSlices, slice);
      await api.create(services, service);
    }
    const tell = (slice: EndpointSlice): Promise<unknown> =>
      api.patch(endpointSlices, key, { type: 'merge', body: { endpoints: slice.endpoints } });
    const answer = (names: string[], ip = clusterIp, port = 80, from = cluster.pods[0]!): Promise<void> =>
      eventually(async () => expect(await cluster.lab.names(from, ip, port)).toEqual(names), 60_000);

    test('several ports lead where the slices say that their names lead', async () => {
      const ports: ApiServicePort[] = [
        { name: 'http', port: 80, targetPort: 'web' },
        { name: 'other', port: 81, targetPort: 'side' },
      ];
      await make(webService({ ports }), webSlice([1, 2]));
      await answer(['pod-1', 'pod-2']);
      await answer(['other-1', 'other-2'], clusterIp, 81);
    });

    test('a load balancer leads to pods by its address and its node port, or without one', async () => {
      const { lab } = cluster;
      const balanced = (ports: ApiServicePort[]): Service => ({
        ...webService({ type: 'LoadBalancer', ports, allocateLoadBalancerNodePorts: false }),
        status: { loadBalancer: { ingress: [{ ip: loadBalancerIp }] } },
      });
      const everyPod = ['pod-0', 'pod-1', 'pod-2'];
      await make(balanced([{ name: 'http', port: 80, nodePort }]), webSlice([0, 1, 2]));
      await answer(everyPod, loadBalancerIp, 80, lab.outside);
      await answer(everyPod, lab.node(1).ip, nodePort, lab.outside);
      await api.update(services, balanced([{ name: 'http', port: 80 }]));
      await eventually(() => expect(lab.ask(lab.outside, lab.node(1).ip, nodePort)).rejects.toThrow(/refused/), 60_000);
      await answer(everyPod, loadBalancerIp, 80, lab.outside);
    });

    test('PreferSameNode keeps traffic on the node while it has an endpoint', async () => {
      await make(webService({ trafficDistribution: 'PreferSameNode' }), webSlice([0, 1, 2]));
      await answer(['pod-0', 'pod-1']);
      await tell(webSlice([2]));
      await answer(['pod-2']);
    });

    test('hints keep traffic in the zone of the node', async () => {
      proxy.setZone('here');
      const zones = ['there', 'here', 'there'];
      const hinted = webSlice([0, 1, 2], pod => ({ hints: { forZones: [{ name: zones[pod]! }] } }));
      await make(webService({ trafficDistribution: 'PreferSameZone' }), hinted);
      await answer(['pod-1']);
      proxy.setZone('there');
      await answer(['pod-0', 'pod-2']);
    });

    test('an endpoint that terminates serves while nobody is ready, and an unready one does not', async () => {
      const leaving = { conditions: { ready: false, serving: true, terminating: true } };
      const unready = { conditions: { ready: false, serving: false, terminating: false } };
      const slice = webSlice([1, 2], pod => (pod === 1 ? leaving : unready));
      await make(webService(), slice);
      await answer(['pod-1']);
      await tell(webSlice([1, 2], pod => (pod === 1 ? leaving : {})));
      await answer(['pod-2']);
    });

    test('a UDP client that keeps its port follows when its endpoint goes', async () => {
      const ask = async (): Promise<string> => {
        const options = { protocol: 'udp', sourcePort: 40_081 } as const;
        return (await cluster.lab.ask(cluster.pods[0]!, clusterIp, 53, options)).name;
      };
      await make(webService({ ports: [{ name: 'dns', port: 53, protocol: 'UDP' }] }), webSlice([1]));
      await eventually(async () => expect(await ask()).toBe('pod-1'), 60_000);
      await tell(webSlice([2]));
      await eventually(async () => expect(await ask()).toBe('pod-2'), 60_000);
    });

    // Connections of the mode userspace are the process's own, and end with it.
    if (mode === 'userspace') return;

    test('a connection outlives the process, and its endpoint in the rules of the next one', async () => {
      await make(webService({ ports: [{ name: 'held', port: 80 }] }), webSlice([1]));
      const hold = (): Promise<HeldConnection> => cluster.lab.hold(cluster.pods[0]!, clusterIp, 80);
      const held = await eventually(hold, 60_000);
      stopping.abort();
      await proxy.stop();
      await tell(webSlice([2]));
      expect(await held.echo('without a process?')).toBe('without a process?');
      await start();
      const other = await eventually(async () => {
        const connection = await hold();
        if (connection.name !== 'pod-2') await connection.close();
        expect(connection.name).toBe('pod-2');
        return connection;
      }, 60_000);
      expect(await held.echo('with the next?')).toBe('with the next?');
      await Promise.all([held.close(), other.close()]);
    });
  });

  test('while the bus is away rules stay, and changes are found by listing, also after its return', async () => {
    const { lab, pods } = cluster;
    const bus = await NatsTestServer.start();
    const stopping = new AbortController();
    const publisher = await connect({ servers: bus.url });
    const manager = await publisher.jetstreamManager();
    await manager.streams.add({ name: feedStream, subjects: ['feed.>'], storage: 'file' as never });
    await publisher.close();
    const api = new MemoryObjects();
    const feed = new NatsFeed({ servers: [bus.url], name: 'kube-proxy', logger: silentLogger });
    const informers = new InformerFactory({ client: api, feed, logger: silentLogger, clock: systemClock });
    const config = { family: 'IPv4', clusterCidr: cluster.addresses.clusterCidr } as const;
    const rules = nftables.build({ run: lab.node(1).run, config, logger: silentLogger });
    const proxy = startProxy(rules, informers);
    try {
      await api.create(services, webService());
      await api.create(endpointSlices, webSlice([1]));
      await informers.start(stopping.signal);
      proxy.start();
      const answered = (name: string): Promise<void> =>
        eventually(async () => expect(await lab.names(pods[0]!, clusterIp, 80, 5)).toEqual([name]), 60_000);
      await answered('pod-1');
      await bus.kill();
      expect(await lab.names(pods[0]!, clusterIp, 80, 5)).toEqual(['pod-1']);
      await api.patch(endpointSlices, key, { type: 'merge', body: { endpoints: webSlice([2]).endpoints } });
      await answered('pod-2');
      await api.patch(endpointSlices, key, { type: 'merge', body: { endpoints: webSlice([1]).endpoints } });
      await bus.start();
      await answered('pod-1');
    } finally {
      stopping.abort();
      await proxy.stop();
      await feed.close();
      await rules.cleanup();
      await bus.stop();
    }
  }, 120_000);
});
