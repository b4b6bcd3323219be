import { InformerFactory, NatsFeed, feedStream } from '@naru/client';
import { silentLogger, systemClock } from '@naru/foundation';
import { NatsTestServer } from '@naru/testing';
import { connect } from 'nats';
import type { RuleSync } from './modes/mode';
import { iptables } from './modes/iptables';
import { nftables } from './modes/nftables';
import { userspace } from './modes/userspace';
import { ProxiedServices, serveMore } from './testing/proxied-services';
import { describeInKernel } from './testing/require-kernel';
import { restartCases, serviceCases } from './testing/service-cases';
import { setUpCluster, type TestCluster } from './testing/test-cluster';
import { UserspaceProcess } from './testing/userspace-process';

/** What a Service or a slice says, through each mode, to packets between pods of two nodes; ipvs.uml.test.ts has the cases too. */
describeInKernel('what Services ask for', () => {
  let cluster: TestCluster;
  let process: UserspaceProcess;

  beforeAll(async () => {
    cluster = await setUpCluster(nftables, { nodes: 2, backend: 'host-gw' });
    await serveMore(cluster);
    process = UserspaceProcess.start(cluster.lab, cluster.lab.node(1));
  });
  afterAll(async () => {
    await process?.kill();
    await cluster?.close();
  });

  const rulesOf = (mode: typeof nftables): RuleSync =>
    mode === userspace ? process.rules('IPv4') : cluster.rulesOf(mode);

  describe.each([nftables, iptables, userspace])('of the mode $name', mode => {
    let bench: ProxiedServices;

    beforeAll(async () => {
      bench = new ProxiedServices({ cluster, mode, rules: () => rulesOf(mode) });
      await bench.start();
    });
    afterAll(() => bench.close());
    afterEach(() => bench.clear());

    const cases = [...serviceCases, ...(mode === userspace ? [] : restartCases)];
    test.each(cases)('$name', ({ run }) => run(bench));
  });

  test('while the bus is away rules stay, and changes are found by listing, also after its return', async () => {
    const bus = await NatsTestServer.start();
    const publisher = await connect({ servers: bus.url });
    const manager = await publisher.jetstreamManager();
    await manager.streams.add({ name: feedStream, subjects: ['feed.>'], storage: 'file' as never });
    await publisher.close();
    const feed = new NatsFeed({ servers: [bus.url], name: 'kube-proxy', logger: silentLogger });
    const bench = new ProxiedServices({ cluster, mode: nftables, rules: () => rulesOf(nftables) });
    try {
      await bench.make(bench.service(), bench.slice([1]));
      await bench.start(new InformerFactory({ client: bench.api, feed, logger: silentLogger, clock: systemClock }));
      await bench.answer(['pod-1']);
      await bus.kill();
      expect(await cluster.lab.names(bench.client, bench.clusterIp, 80, 5)).toEqual(['pod-1']);
      await bench.tell(bench.slice([2]));
      await bench.answer(['pod-2']);
      await bench.tell(bench.slice([1]));
      await bus.start();
      await bench.answer(['pod-1']);
    } finally {
      await bench.close();
      await feed.close();
      await bus.stop();
    }
  });
});
