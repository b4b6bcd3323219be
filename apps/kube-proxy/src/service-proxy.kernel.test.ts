import { endpointSlices, services, type EndpointSlice, type Service } from '@naru/api';
import { createMetrics, silentLogger, systemClock } from '@naru/foundation';
import { eventually, MemoryObjects } from '@naru/testing';
import { createProxyMetrics } from './metrics';
import { ipFamilies, type IpFamily } from './desired/ip-family';
import { nftables } from './modes/nftables';
import { ServiceProxy } from './service-proxy';
import { labAddresses } from './testing/lab-addresses';
import { describeInKernel } from './testing/require-kernel';
import { setUpCluster, type TestCluster } from './testing/test-cluster';

const clusterIp = '10.96.0.53';

describeInKernel('kube-proxy from objects to the kernel', () => {
  let cluster: TestCluster;
  let proxy: ServiceProxy;
  let api: MemoryObjects;
  const stopping = new AbortController();
  const registry = createMetrics();

  beforeAll(async () => {
    cluster = await setUpCluster(nftables, { nodes: 2, backend: 'host-gw' });
    api = new MemoryObjects();
    const { run } = cluster.lab.node(1);
    const informers = api.informers();
    proxy = new ServiceProxy({
      nodeName: 'node-1',
      families: ipFamilies.map(family => {
        const config = { family, clusterCidr: labAddresses[family].clusterCidr };
        return { family, rules: nftables.build({ run, config, logger: silentLogger }) };
      }),
      informers,
      run,
      metrics: createProxyMetrics(registry),
      followers: [],
      clock: systemClock,
      logger: silentLogger,
      minSyncPeriodMs: 10,
      fullSyncPeriodMs: 3_600_000,
    });
    await informers.start(stopping.signal);
    proxy.start();
  });
  afterAll(async () => {
    stopping.abort();
    await proxy?.stop();
    await cluster?.close();
  });

  function slice(pods: number[]): EndpointSlice {
    return {
      metadata: {
        namespace: 'default',
        name: 'dns-1',
        labels: { 'kubernetes.io/service-name': 'dns' },
        annotations: { 'endpoints.kubernetes.io/last-change-trigger-time': new Date().toISOString() },
      },
      addressType: 'IPv4',
      ports: [
        { name: 'udp', port: 8080, protocol: 'UDP' },
        { name: 'tcp', port: 8080, protocol: 'TCP' },
      ],
      endpoints: pods.map(index => ({ addresses: [cluster.pods[index]!.ip], conditions: { ready: true } })),
    };
  }

  test('a Service is served when it and its slice are there, and refused when its endpoints go', async () => {
    const { lab, pods } = cluster;
    const dns: Service = {
      metadata: { namespace: 'default', name: 'dns' },
      spec: {
        clusterIP: clusterIp,
        ports: [
          { name: 'udp', port: 53, protocol: 'UDP' },
          { name: 'tcp', port: 53, protocol: 'TCP' },
        ],
      },
    };
    await api.create(services, dns);
    await eventually(() => expect(lab.ask(pods[0]!, clusterIp, 53)).rejects.toThrow(/refused/));
    await api.create(endpointSlices, slice([1]));
    await eventually(async () => expect((await lab.ask(pods[0]!, clusterIp, 53)).name).toBe('pod-1'));
    // The rules are there before the program that wrote them is known to have ended, and those of the other family may come later.
    await eventually(() => expect(proxy.waitingSince).toBeUndefined());
    expect(proxy.lastSyncedAt).toBeGreaterThan(0);
  });

  test('a UDP client that keeps its port follows when its endpoint goes', async () => {
    const { lab, pods } = cluster;
    const ask = (): Promise<{ name: string }> =>
      lab.ask(pods[0]!, clusterIp, 53, { protocol: 'udp', sourcePort: 40_053, timeoutMs: 1_000 });
    await eventually(async () => expect((await ask()).name).toBe('pod-1'));
    await api.patch(endpointSlices, { namespace: 'default', name: 'dns-1' }, { type: 'merge', body: slice([2]) });
    await eventually(async () => expect((await lab.ask(pods[0]!, clusterIp, 53)).name).toBe('pod-2'));
    await eventually(async () => expect((await ask()).name).toBe('pod-2'));
  });

  test('a Service of both families is served by both, and its UDP clients of either follow', async () => {
    const { lab, pods } = cluster;
    const clusterIPs = ['10.96.0.60', 'fd00:96::60'];
    const ports = [{ name: 'udp', port: 53, protocol: 'UDP' }];
    const dual = (family: IpFamily, index: number): EndpointSlice => ({
      ...slice([]),
      metadata: {
        namespace: 'default',
        name: `dual-${family.toLowerCase()}`,
        labels: { 'kubernetes.io/service-name': 'dual' },
      },
      addressType: family,
      endpoints: [{ addresses: [family === 'IPv6' ? pods[index]!.ipv6 : pods[index]!.ip] }],
    });
    await api.create(services, {
      metadata: { namespace: 'default', name: 'dual' },
      spec: { clusterIP: clusterIPs[0], clusterIPs, ports },
    });
    for (const family of ipFamilies) await api.create(endpointSlices, dual(family, 1));
    const ask = (ip: string): Promise<{ name: string }> =>
      lab.ask(pods[0]!, ip, 53, { protocol: 'udp', sourcePort: 40_060, timeoutMs: 1_000 });
    for (const ip of clusterIPs) await eventually(async () => expect((await ask(ip)).name).toBe('pod-1'));
    for (const family of ipFamilies) {
      const { metadata, ...body } = dual(family, 2);
      await api.patch(endpointSlices, { namespace: 'default', name: metadata?.name ?? '' }, { type: 'merge', body });
    }
    for (const ip of clusterIPs) await eventually(async () => expect((await ask(ip)).name).toBe('pod-2'));
  });

  test('an endpoint that flaps does no harm, and its last word counts', async () => {
    const { lab, pods } = cluster;
    const key = { namespace: 'default', name: 'dns-1' };
    const fullSyncs = async (): Promise<string | undefined> =>
      /kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="IPv4"} \d+/.exec(
        await registry.metrics(),
      )?.[0];
    const before = await fullSyncs();
    for (let time = 0; time < 100; time++) {
      await api.patch(endpointSlices, key, { type: 'merge', body: slice(time % 2 === 0 ? [] : [1, 2]) });
      // Faster than a hundred a second, and yet some changes meet a sync that runs.
      await new Promise(resolve => setTimeout(resolve, 2));
    }
    await api.patch(endpointSlices, key, { type: 'merge', body: slice([1]) });
    await eventually(async () => expect(await lab.names(pods[0]!, clusterIp, 53, 10)).toEqual(['pod-1']));
    expect(await registry.metrics()).toMatch(/kubeproxy_sync_proxy_rules_failures_total{ip_family="IPv4"} 0\n/);
    expect(await fullSyncs()).toBe(before);
  });

  test('1,000 Services that are deleted at once leave nothing, and the others go on', async () => {
    const { lab, pods } = cluster;
    const names = Array.from({ length: 1000 }, (_, index) => `many-${index}`);
    for (const [index, name] of names.entries()) {
      const spec = { clusterIP: `10.97.${index >> 8}.${index & 255}`, ports: [{ port: 80, protocol: 'TCP' }] };
      await api.create(services, { metadata: { namespace: 'default', name }, spec });
    }
    const rules = (): Promise<string> => lab.node(1).run('nft', ['list', 'table', 'ip', 'naru-proxy']);
    await eventually(async () => expect((await rules()).match(/10\.97\.\d+\.\d+ \. tcp/g)).toHaveLength(1000));
    await Promise.all(names.map(name => api.delete(services, { namespace: 'default', name })));
    await eventually(async () => expect(await rules()).not.toContain('10.97.'));
    expect((await lab.ask(pods[0]!, clusterIp, 53)).name).toBe('pod-1');
  });

  test("upstream's metrics say how long rules took, and that the first sync was the only full one", async () => {
    const text = await registry.metrics();
    expect(text).toMatch(/kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family="IPv4"} [1-9]/);
    // All that has changed was changed by what differs.
    for (const family of ipFamilies) {
      expect(text).toContain(`kubeproxy_sync_full_proxy_rules_duration_seconds_count{ip_family="${family}"} 1\n`);
    }
    expect(text).toMatch(/kubeproxy_network_programming_duration_seconds_count{ip_family="IPv4"} [1-9]/);
    expect(text).toMatch(/kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"} \d/);
  });
});
