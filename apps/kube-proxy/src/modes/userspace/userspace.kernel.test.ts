import { eventually } from '@naru/testing';
import { hostRange, ipFamilies } from '../../desired/ip-family';
import type { ServicePort } from '../../desired/service-port';
import type { Place } from '../../testing/network-lab';
import { describeInKernel } from '../../testing/require-kernel';
import { endpointsOfPods, forwardedPort, setUpCluster, type TestCluster } from '../../testing/test-cluster';
import { UserspaceProcess } from '../../testing/userspace-process';
import { userspace } from '.';

const nodePort = 30080;
const everyPod = ['pod-0', 'pod-1', 'pod-2'];

describeInKernel('the mode userspace between pods of two nodes', () => {
  let cluster: TestCluster;
  let proxy: UserspaceProcess;

  beforeAll(async () => {
    cluster = await setUpCluster(userspace, { nodes: 2, backend: 'host-gw' });
    for (const [index, pod] of cluster.pods.entries()) await cluster.lab.serveHolding(pod, 8082, `pod-${index}`);
    proxy = UserspaceProcess.start(cluster.lab, cluster.lab.node(1));
  });
  afterAll(async () => {
    await proxy?.kill();
    await cluster?.close();
  });

  describe.each(ipFamilies)('with %s', family => {
    beforeAll(() => cluster.use(family));

    const web = (overrides: Partial<ServicePort> = {}): ServicePort =>
      forwardedPort(cluster, { clusterIp: cluster.addresses.clusterIp(10), ...overrides });
    const served = (pods: number[]): Partial<ServicePort> => ({ clusterEndpoints: endpointsOfPods(cluster, 1, pods) });
    const holding = (pod: number): ServicePort =>
      web({ clusterEndpoints: endpointsOfPods(cluster, 1, [pod]).map(at => ({ ...at, port: 8082 })) });

    const sync = (...ports: ServicePort[]): Promise<void> =>
      proxy.rules(family).sync({ full: true, ports: () => ports });
    const change = (after: ServicePort): Promise<void> =>
      proxy.rules(family).sync({ full: false, changes: [{ before: web(), after }] });
    const isReset = (from: Place, ip: string, port: number): Promise<void> =>
      expect(cluster.lab.ask(from, ip, port)).rejects.toThrow(/ECONNRESET|closed/);

    /** As if the process had been killed, and started with these flags. */
    async function restart(config?: { nodePortAddresses: string[] }): Promise<void> {
      await proxy.kill();
      proxy = UserspaceProcess.start(cluster.lab, cluster.lab.node(1), config);
    }

    test('a cluster IP leads to all endpoints, from a pod and from a node, with the node as client', async () => {
      const { lab, pods } = cluster;
      const { clusterIp } = web();
      await sync(web());
      for (const from of [pods[0]!, lab.node(1)]) {
        expect(await lab.names(from, clusterIp, 80, 6)).toEqual(everyPod);
      }
      await change(web(served([2])));
      expect(await lab.ask(pods[0]!, clusterIp, 80)).toEqual({ name: 'pod-2', client: lab.node(1).ip });
    });

    test('a pod reaches itself through its Service', async () => {
      const { lab, pods } = cluster;
      await sync(web(served([0])));
      expect((await lab.ask(pods[0]!, web().clusterIp, 80)).name).toBe('pod-0');
    });

    test('each port of a Service leads where it says', async () => {
      const { lab, pods } = cluster;
      const { clusterIp } = web();
      await sync(web(served([1])), web({ name: 'default/web:other/tcp', port: 81, ...served([2]) }));
      expect(await lab.names(pods[0]!, clusterIp, 80, 3)).toEqual(['pod-1']);
      expect(await lab.names(pods[0]!, clusterIp, 81, 3)).toEqual(['pod-2']);
      await expect(lab.ask(pods[0]!, clusterIp, 82)).rejects.toThrow(/refused/);
    });

    test('a node port answers from outside, from pods and from nodes, and so does an external address', async () => {
      const { lab, pods, addresses } = cluster;
      const externalIp = addresses.host(200);
      await lab.outside.run('ip', ['route', 'replace', hostRange(externalIp), 'via', lab.node(1).ip]);
      await sync(web({ nodePort, externalIps: [externalIp] }));
      for (const from of [lab.outside, lab.node(2), lab.node(1), pods[0]!]) {
        expect(await lab.names(from, lab.node(1).ip, nodePort, 6)).toEqual(everyPod);
      }
      expect(await lab.names(lab.outside, externalIp, 80, 6)).toEqual(everyPod);
    });

    test("a load balancer's address answers the source ranges and nobody else", async () => {
      const { lab, addresses } = cluster;
      const loadBalancerIp = addresses.host(201);
      const towardsNode1 = ['route', 'replace', hostRange(loadBalancerIp), 'via', lab.node(1).ip];
      for (const place of [lab.outside, lab.node(2)]) await place.run('ip', towardsNode1);
      const sourceRanges = [hostRange(lab.node(2).ip)];
      await sync(web({ loadBalancerIps: [loadBalancerIp], sourceRanges }));
      await isReset(lab.outside, loadBalancerIp, 80);
      expect(await lab.names(lab.node(2), loadBalancerIp, 80, 6)).toEqual(everyPod);
    });

    test('a policy Local stays on the node', async () => {
      const { lab, pods } = cluster;
      await sync(web({ nodePort, externalPolicy: 'local' }));
      expect(await lab.names(lab.outside, lab.node(1).ip, nodePort, 6)).toEqual(['pod-0', 'pod-1']);
      expect(await lab.names(pods[0]!, web().clusterIp, 80, 6)).toEqual(everyPod);
      await sync(web({ internalPolicy: 'local' }));
      expect(await lab.names(pods[0]!, web().clusterIp, 80, 6)).toEqual(['pod-0', 'pod-1']);
    });

    test('session affinity keeps a client on its endpoint through syncs', async () => {
      const { lab, pods } = cluster;
      await sync(web({ affinitySeconds: 10_800 }));
      const first = await lab.names(pods[0]!, web().clusterIp, 80, 6);
      expect(first).toHaveLength(1);
      await sync(web({ affinitySeconds: 10_800, nodePort }));
      expect(await lab.names(pods[0]!, web().clusterIp, 80, 6)).toEqual(first);
    });

    test('session affinity ends when a client was away for as long as it says', async () => {
      const { lab, pods } = cluster;
      await sync(web({ affinitySeconds: 1 }));
      const ask = async (): Promise<string> => (await lab.ask(pods[0]!, web().clusterIp, 80)).name;
      const first = await ask();
      // The interval is longer than the affinity: asking sooner would renew it.
      await eventually(async () => expect(await ask()).not.toBe(first), 90_000, 1_100);
    });

    test('without endpoints a connection is reset', async () => {
      const { lab, pods } = cluster;
      await sync(web({ nodePort, clusterEndpoints: [] }));
      await isReset(pods[0]!, web().clusterIp, 80);
      await isReset(lab.outside, lab.node(1).ip, nodePort);
    });

    test('externalTrafficPolicy Local without local endpoints resets whoever asks the node port', async () => {
      const { lab, pods } = cluster;
      await sync(web({ nodePort, externalPolicy: 'local', ...served([2]) }));
      for (const from of [lab.outside, pods[0]!]) await isReset(from, lab.node(1).ip, nodePort);
      expect(await lab.names(pods[0]!, web().clusterIp, 80, 3)).toEqual(['pod-2']);
    });

    test('a UDP client that keeps its port stays where it is, and follows when its endpoint goes', async () => {
      const { lab, pods } = cluster;
      const ask = (): Promise<{ name: string }> =>
        lab.ask(pods[0]!, web().clusterIp, 80, { protocol: 'udp', sourcePort: 40_080 });
      await sync(web({ protocol: 'udp', ...served([1, 2]) }));
      const { name } = await ask();
      expect((await ask()).name).toBe(name);
      await change(web({ protocol: 'udp', ...served([name === 'pod-1' ? 2 : 1]) }));
      expect((await ask()).name).toBe(name === 'pod-1' ? 'pod-2' : 'pod-1');
    });

    test('an endpoint that leaves keeps its connections and gets no new ones', async () => {
      const { lab, pods } = cluster;
      await sync(holding(1));
      const held = await lab.hold(pods[0]!, web().clusterIp, 80);
      await change(holding(2));
      expect(await held.echo('still there?')).toBe('still there?');
      const other = await lab.hold(pods[0]!, web().clusterIp, 80);
      expect([held.name, other.name]).toEqual(['pod-1', 'pod-2']);
      await Promise.all([held.close(), other.close()]);
    });

    test('node ports answer only on the addresses that they are to', async () => {
      const { lab, pods, addresses } = cluster;
      await restart({ nodePortAddresses: [addresses.foreign, hostRange(lab.node(1).ip)] });
      await sync(web({ nodePort }));
      expect(await lab.names(lab.outside, lab.node(1).ip, nodePort, 6)).toEqual(everyPod);
      await expect(lab.ask(pods[0]!, web().clusterIp, nodePort)).rejects.toThrow(/refused/);
      await restart({ nodePortAddresses: [addresses.clusterCidr] });
      await sync(web({ nodePort }));
      await expect(lab.ask(lab.outside, lab.node(1).ip, nodePort)).rejects.toThrow(/refused/);
    });

    test('connections end with the process, and new ones are served by the next', async () => {
      const { lab, pods } = cluster;
      const held = holding(1);
      await sync(held);
      const connection = await lab.hold(pods[0]!, held.clusterIp, 80);
      await restart();
      await expect(connection.echo('still there?')).rejects.toThrow(/closed/);
      await sync(held);
      const next = await lab.hold(pods[0]!, held.clusterIp, 80);
      expect(next.name).toBe('pod-1');
      await next.close();
    });

    test('what an earlier process left is put right, and cleanup leaves only what is of others', async () => {
      const { lab, pods, addresses } = cluster;
      const { run } = lab.node(1);
      const foreign = addresses.host(99);
      await run('ip', ['addr', 'replace', hostRange(foreign), 'dev', 'lo']);
      const held = (): Promise<string> => run('ip', ['-brief', 'addr', 'show', 'dev', 'lo']);
      const gone = addresses.clusterIp(99);
      await sync(web(), web({ name: 'default/gone:/tcp', clusterIp: gone }));
      expect(await held()).toContain(hostRange(gone));
      await restart();
      await sync(web());
      expect(await held()).not.toContain(hostRange(gone));
      expect(await lab.names(pods[0]!, web().clusterIp, 80, 6)).toEqual(everyPod);
      await proxy.rules(family).cleanup();
      expect(await held()).not.toContain(hostRange(web().clusterIp));
      expect(await held()).toContain(hostRange(foreign));
    });
  });
});
