import { networkPolicies, namespaces, pods as podType, type NetworkPolicy } from '@naru/api';
import { eventually, type MemoryObjects } from '@naru/testing';
import { hostRange, ipFamilies, type IpFamily } from '../desired/ip-family';
import { iptables } from '../modes/iptables';
import type { ProxyMode } from '../modes/mode';
import { nftables } from '../modes/nftables';
import { labAddresses } from '../testing/lab-addresses';
import { FakeRuntime } from '../testing/fake-runtime';
import type { Place } from '../testing/network-lab';
import { PolicyBench, policyPod } from '../testing/policy-bench';
import { describeInKernel } from '../testing/require-kernel';
import { forwardedPort, setUpCluster, type TestCluster } from '../testing/test-cluster';
import { cleanupPolicies, type PolicyEnforcer } from './policy-enforcer';
import { policyTable } from './policy-table';

const tunnelPort = 8472;

type Spec = NonNullable<NetworkPolicy['spec']>;

const kinds = [
  { mode: iptables, family: 'IPv4' },
  { mode: iptables, family: 'IPv6' },
  { mode: nftables, family: 'IPv6' },
] as const;

for (const { mode, family } of kinds) {
  describeInKernel(`NetworkPolicies beside ${mode.name}, with ${family}`, () => testBeside(mode, family));
}

function testBeside(mode: ProxyMode, family: IpFamily): void {
  const addresses = labAddresses[family];
  const clusterIp = addresses.clusterIp(80);
  const table = policyTable(family);
  let cluster: TestCluster;
  let api: MemoryObjects;
  let runtime: FakeRuntime;
  let bench: PolicyBench;
  let enforcer: PolicyEnforcer;
  let web: Place, client: Place, remote: Place;

  beforeAll(async () => {
    cluster = await setUpCluster(mode, { nodes: 2, backend: 'host-gw', family });
    [web, client, remote] = cluster.pods as [Place, Place, Place];
    await cluster.sync([forwardedPort(cluster, { clusterIp, clusterEndpoints: [endpoint(remote)] })]);
    await cluster.lab.serve(web, 9090, 'web-metrics');
    await cluster.lab.serveHolding(web, 9191, 'web-held');
    runtime = await FakeRuntime.start(cluster.lab.dir);
    bench = new PolicyBench(cluster, {
      network: { backend: 'vxlan', vxlan: { id: 1, port: tunnelPort } },
      runtimeEndpoint: runtime.endpoint,
    });
    ({ api, enforcer } = bench);
    for (const each of ipFamilies) enforcer.setPodCidr(each, labAddresses[each].podCidr(1));
    await bench.start(({ ip }) => [ip]);
  });
  afterAll(async () => {
    await bench?.close();
    runtime?.close();
    await cluster?.close();
  });
  afterEach(async () => {
    for (const { metadata } of (await api.list(networkPolicies)).items) await api.delete(networkPolicies, metadata);
    await eventually(async () => expect(await tables()).not.toContain(table));
    await expectOpen(remote, web, 8080);
  });

  function endpoint({ ip }: Place): { address: string; port: number; local: boolean } {
    return { address: ip, port: 8080, local: false };
  }

  const put = (name: string, spec: Spec, namespace = 'default'): Promise<unknown> =>
    api.create(networkPolicies, { metadata: { name, namespace }, spec });
  const tables = (): Promise<string> => cluster.lab.node(1).run('nft', ['list', 'tables']);
  const expectOpen = async (from: Place, to: Place, port: number): Promise<void> => {
    await cluster.lab.ask(from, to.ip, port);
  };
  /** A policy has arrived when what it forbids is forbidden. */
  const eventuallyClosed = (from: Place, to: Place, port = 8080): Promise<void> =>
    eventually(() => expect(cluster.lab.ask(from, to.ip, port, { timeoutMs: 300 })).rejects.toThrow(/timed out/i));
  const select = (app: string): { matchLabels: Record<string, string> } => ({ matchLabels: { app } });

  test('a pod is judged by where a Service leads, not by the cluster IP', async () => {
    await put('only-remote', {
      podSelector: select('client'),
      policyTypes: ['Egress'],
      egress: [{ to: [{ namespaceSelector: { matchLabels: { team: 'other' } } }] }],
    });
    await eventuallyClosed(client, web);
    expect((await cluster.lab.ask(client, clusterIp, 80)).name).toBe('pod-2');
  });

  // The table is the same beside every mode.
  if (mode !== iptables) return;

  test('default deny of ingress shuts out pods of this and of other nodes, but not the node itself', async () => {
    await put('deny', { podSelector: {}, policyTypes: ['Ingress'] });
    await eventuallyClosed(client, web);
    await eventuallyClosed(remote, web);
    await eventuallyClosed(cluster.lab.node(2), web);
    await expectOpen(cluster.lab.node(1), web, 8080);
    // What the isolated pods ask for themselves is still answered.
    await expectOpen(web, remote, 8080);
  });

  test('default deny of egress keeps pods from all but themselves and their node', async () => {
    await put('deny', { podSelector: select('client'), policyTypes: ['Egress'] });
    await eventuallyClosed(client, web);
    await eventuallyClosed(client, remote);
    await expectOpen(web, client, 8080);
    await cluster.lab.serve(cluster.lab.node(1), 7070, 'node');
    await expectOpen(client, cluster.lab.node(1), 7070);
    const itself = [{ address: client.ip, port: 8080, local: true }];
    await cluster.sync([forwardedPort(cluster, { clusterIp, clusterEndpoints: itself })]);
    expect((await cluster.lab.ask(client, clusterIp, 80)).name).toBe('pod-1');
  });

  test('default deny of egress holds for borrowed addresses, tunnels, and words in the guise of neighbour discovery', async () => {
    await put('deny', { podSelector: select('client'), policyTypes: ['Egress'] });
    await eventuallyClosed(client, remote);
    const node = cluster.lab.node(1);
    const v = family === 'IPv4' ? '4' : '6';
    const at = (ip: string): string => (v === '4' ? ip : `[${ip}]`);
    const send = (from: Place, word: string, to: string): Promise<string> =>
      from.run('sh', ['-c', `printf '${word}\n' | socat -u - ${to}`]);
    /** Which words arrive, of some that the isolated pod sends and a last one that others may. */
    const heard = async (
      at: { place: Place; listen: string },
      spoofs: () => Promise<void>,
      last: () => Promise<string>,
    ) => {
      const pick = `sed -nu 's/.*spoof/spoof/p;s/.*last/last/p;/last/q'`;
      const listening = at.place.run('timeout', ['60', 'sh', '-c', `socat -u ${at.listen} - | LC_ALL=C ${pick}`]);
      await eventually(async () => expect(await at.place.run('ss', ['-Hlnuw'])).toMatch(/:(9292|8472|ipv6-icmp|58)\s/));
      let hasEnded = false;
      const words = listening.finally(() => (hasEnded = true));
      words.catch(() => undefined);
      await spoofs();
      await last();
      // The listener ends when it has a word for nobody.
      await eventually(async () => {
        await last().catch(() => undefined);
        expect(hasEnded).toBe(true);
      });
      return words;
    };
    const borrowed = [addresses.host(77), web.ip];
    const toRemote = `UDP${v}-SENDTO:${at(remote.ip)}:9292`;
    const byAddress = heard(
      { place: remote, listen: `UDP${v}-RECV:9292` },
      async () => {
        for (const ip of borrowed) {
          // Without a look for others who have it an address of IPv6 is there at once.
          await client.run('ip', ['addr', 'add', hostRange(ip), 'dev', 'lo', 'nodad']);
          try {
            await send(client, 'spoof', `${toRemote},bind=${at(ip)}`);
          } finally {
            await client.run('ip', ['addr', 'del', hostRange(ip), 'dev', 'lo']);
          }
        }
      },
      () => send(web, 'last', toRemote),
    );
    expect(await byAddress).toBe('last\n');
    const toTunnel = `UDP${v}-SENDTO:${at(node.ip)}:${tunnelPort}`;
    const byTunnel = heard(
      { place: node, listen: `UDP${v}-RECV:${tunnelPort}` },
      async () => void (await send(client, 'spoof', toTunnel)),
      () => send(cluster.lab.node(2), 'last', toTunnel),
    );
    expect(await byTunnel).toBe('last\n');
    if (family === 'IPv4') return;
    const toIcmp = `IP6-SENDTO:[${remote.ip}]:58`;
    const byDiscovery = heard(
      { place: remote, listen: 'IP6-RECV:58' },
      async () => void (await send(client, '\\210\\0\\0\\0spoof', toIcmp)),
      () => send(web, '\\200\\0\\0\\0last', toIcmp),
    );
    expect(await byDiscovery).toBe('last\n');
  });

  test('podSelector means pods of the own namespace, namespaceSelector those of others, and both together their intersection', async () => {
    await put('same-namespace', { podSelector: select('web'), ingress: [{ from: [{ podSelector: {} }] }] });
    await eventuallyClosed(remote, web);
    await expectOpen(client, web, 8080);
    await put('other-namespace', {
      podSelector: select('web'),
      ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'other' } }, podSelector: select('remote') }] }],
    });
    await eventually(() => expectOpen(remote, web, 8080));
    await expectOpen(client, web, 8080);
    await api.patch(
      podType,
      { namespace: 'other', name: 'remote' },
      {
        type: 'merge',
        body: { metadata: { labels: { app: 'else' } } },
      },
    );
    await eventuallyClosed(remote, web);
    await api.patch(
      podType,
      { namespace: 'other', name: 'remote' },
      {
        type: 'merge',
        body: { metadata: { labels: { app: 'remote' } } },
      },
    );
    await eventually(() => expectOpen(remote, web, 8080));
    await api.patch(namespaces, { name: 'other' }, { type: 'merge', body: { metadata: { labels: { team: 'new' } } } });
    await eventuallyClosed(remote, web);
    await api.patch(
      namespaces,
      { name: 'other' },
      { type: 'merge', body: { metadata: { labels: { team: 'other' } } } },
    );
    await eventually(() => expectOpen(remote, web, 8080));
  });

  test('ipBlock lets a range in, except what it excludes', async () => {
    await put('block', {
      podSelector: select('web'),
      ingress: [{ from: [{ ipBlock: { cidr: addresses.clusterCidr, except: [hostRange(client.ip)] } }] }],
    });
    await eventuallyClosed(client, web);
    await expectOpen(remote, web, 8080);
    await eventuallyClosed(cluster.lab.node(2), web);
  });

  test('ports are numbers, ranges and names, on both sides', async () => {
    await put('named', { podSelector: select('web'), ingress: [{ ports: [{ port: 'metrics' }] }] });
    await eventuallyClosed(client, web);
    await expectOpen(client, web, 9090);
    await put('range', { podSelector: select('web'), ingress: [{ ports: [{ port: 8000, endPort: 8100 }] }] });
    await eventually(() => expectOpen(client, web, 8080));
    await put('out', {
      podSelector: select('client'),
      policyTypes: ['Egress'],
      egress: [{ to: [{ podSelector: select('web') }], ports: [{ port: 'http' }] }],
    });
    await eventuallyClosed(client, web, 9090);
    await expectOpen(client, web, 8080);
  });

  test('UDP and TCP are told apart', async () => {
    await put('udp', { podSelector: select('web'), ingress: [{ ports: [{ port: 8080, protocol: 'UDP' }] }] });
    await eventuallyClosed(client, web);
    expect((await cluster.lab.ask(client, web.ip, 8080, { protocol: 'udp' })).name).toBe('pod-0');
  });

  test('an open connection ends when a policy comes to forbid it', async () => {
    const { lab } = cluster;
    const held = await lab.hold(client, web.ip, 9191);
    expect(await held.echo('is anybody there?')).toBe('is anybody there?');
    await put('deny', { podSelector: select('web'), policyTypes: ['Ingress'] });
    await eventually(() => expect(held.echo('still?', 1_000)).rejects.toThrow('no answer'));
    await lab.ask(lab.node(1), web.ip, 8080);
  });

  test('a pod that nobody knows yet has no way out and none in, and has both as soon as the runtime tells of it', async () => {
    const { lab } = cluster;
    await put('elsewhere', { podSelector: select('nobody'), policyTypes: ['Ingress'] });
    const fresh = await lab.addPod(lab.node(1));
    await lab.serve(fresh, 8080, 'fresh');
    await eventuallyClosed(fresh, remote);
    await eventuallyClosed(client, fresh);
    await api.create(podType, policyPod('fresh', 'default', 'node-1', []));
    await eventually(() => expect(runtime.watched).toBe(true));
    runtime.runSandbox('uid-fresh', fresh.ip);
    await eventually(() => expectOpen(fresh, remote, 8080));
    await expectOpen(client, fresh, 8080);
    runtime.stopSandbox('uid-fresh');
    await eventuallyClosed(fresh, remote);
    await api.delete(podType, { namespace: 'default', name: 'fresh' }, { gracePeriodSeconds: 0 });
  });

  test('a change of one pod is a change of elements, and takes nothing else down', async () => {
    const { run } = cluster.lab.node(1);
    await put('from-app', { podSelector: select('web'), ingress: [{ from: [{ podSelector: select('late') }] }] });
    await eventuallyClosed(client, web);
    const handles = async (): Promise<string> =>
      (await run('nft', ['-a', 'list', 'table', ...table.split(' ')])).replace(/\s*(elements = [^}]*})?\n/g, '\n');
    const before = await handles();
    await api.create(podType, policyPod('late', 'default', 'node-2', [remote.ip]));
    await eventually(() => expectOpen(remote, web, 8080));
    expect(await handles()).toBe(before);
    await api.delete(podType, { namespace: 'default', name: 'late' }, { gracePeriodSeconds: 0 });
    await eventuallyClosed(remote, web);
  });

  test('the last policy takes the table with it, and cleanup does so whatever there is', async () => {
    await put('deny', { podSelector: {}, policyTypes: ['Ingress'] });
    await eventually(async () => expect(await tables()).toContain(table));
    await api.delete(networkPolicies, { namespace: 'default', name: 'deny' });
    await eventually(async () => expect(await tables()).not.toContain(table));
    await put('deny', { podSelector: {}, policyTypes: ['Ingress'] });
    await eventually(async () => expect(await tables()).toContain(table));
    await cleanupPolicies(cluster.lab.node(1).run);
    expect(await tables()).not.toContain(table);
  });
}
