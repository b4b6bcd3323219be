import { ipFamilies, type IpFamily } from '../desired/ip-family';
import { everyPod, ModeBench } from '../testing/mode-bench';
import { modeCases } from '../testing/mode-cases';
import { serveMore } from '../testing/proxied-services';
import { describeInKernel } from '../testing/require-kernel';
import { setUpCluster, type TestCluster } from '../testing/test-cluster';
import { iptables } from './iptables';
import type { ProxyMode } from './mode';
import { nftables } from './nftables';

const nodePort = 30080;

// This kernel need not have IPVS: ipvs.uml.test.ts has the same cases in one that does.
describe.each([iptables, nftables])('the mode $name in the kernel', mode => {
  for (const family of ipFamilies) describeInKernel(`with ${family}`, () => testMode(mode, family));
});

function testMode(mode: ProxyMode, family: IpFamily): void {
  let cluster: TestCluster;
  let bench: ModeBench;

  beforeAll(async () => {
    cluster = await setUpCluster(mode, { nodes: 2, backend: 'host-gw', family });
    await serveMore(cluster);
    bench = new ModeBench(mode, cluster);
    await bench.traces.plantForeign();
  });
  afterAll(() => cluster?.close());

  afterEach(() => expect(cluster.warnings).toEqual([]));

  test('externalTrafficPolicy Local is nothing to pods and to the node itself', async () => {
    const { lab, pods } = cluster;
    await cluster.sync([bench.port({ nodePort, externalPolicy: 'local' })]);
    for (const from of [pods[0]!, lab.node(1)]) await bench.answer(everyPod, from, lab.node(1).ip, nodePort);
  });

  test('what the kernel refuses changes nothing, and the next full sync is taken', async () => {
    const { lab, pods } = cluster;
    await cluster.sync([bench.port({ nodePort })]);
    await expect(cluster.sync([bench.port({ nodePort, pods: [2] }), bench.refusedPort()])).rejects.toThrow(
      /failed with exit code/,
    );
    await bench.answer(everyPod, pods[0]!, bench.clusterIp, 80);
    await bench.answer(everyPod, lab.outside, lab.node(1).ip, nodePort);
    await cluster.syncFull();
    await bench.answer(everyPod, pods[0]!, bench.clusterIp, 80);
  });

  test.each(modeCases)('$name', ({ run }) => run(bench));
}
