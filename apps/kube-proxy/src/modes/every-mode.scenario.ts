import assert from 'node:assert/strict';
import { networkPolicies, type NetworkPolicy } from '@naru/api';
import { checkInScenario, eventually, runScenario, type MemoryObjects } from '@naru/testing';
import { ipFamilies, isIpv6 } from '../desired/ip-family';
import type { Place } from '../testing/network-lab';
import { PolicyBench } from '../testing/policy-bench';
import { endpointsOfPods, forwardedPort, setUpCluster, type TestCluster } from '../testing/test-cluster';
import { iptables } from './iptables';
import { ipvs } from './ipvs';
import { nftables } from './nftables';

const sctpPort = 9000;
const waitMs = 120_000;

/** Who answers at the address; SCTP is not to be had from Node. In vain it asks for as long as `patienceSeconds`. */
async function askBySctp({ run }: Place, address: string, port: number, patienceSeconds = 40): Promise<string> {
  const where = isIpv6(address) ? `SCTP6:[${address}]` : `SCTP4:${address}`;
  return (
    await run('timeout', ['80', 'socat', '-u', `${where}:${port},connect-timeout=${patienceSeconds}`, '-'])
  ).trim();
}

/** By both families. */
async function serveBySctp({ run }: Place, name: string): Promise<void> {
  // In the background: it ends with the machine.
  const serve = `socat -U SCTP6-LISTEN:${sctpPort},fork,reuseaddr 'SYSTEM:echo ${name}'`;
  await run('sh', ['-c', `${serve} </dev/null >/dev/null 2>&1 &`]);
  await eventually(async () => {
    const text = await run('cat', ['/proc/net/sctp/eps']);
    assert.equal(text.trim().split('\n').length, 2);
  }, waitMs);
}

/** Through every mode, to several endpoints, from a pod and from outside. */
async function checkSctp(cluster: TestCluster, check: typeof checkInScenario): Promise<void> {
  const { lab, pods, addresses } = cluster;
  const run = lab.node(1).run;
  const clusterIp = addresses.clusterIp(10);
  const clusterEndpoints = endpointsOfPods(cluster, 1).map(endpoint => ({ ...endpoint, port: sctpPort }));
  const port = forwardedPort(cluster, { protocol: 'sctp', clusterIp, clusterEndpoints, nodePort: 30090 });
  for (const mode of [nftables, iptables, ipvs]) {
    const config = { family: lab.family, clusterCidr: addresses.clusterCidr };
    const rules = cluster.rulesOf(mode);
    await check(`SCTP goes through ${mode.name}`, async () => {
      assert.deepEqual(await mode.probe(run, config), []);
      await rules.sync({ full: true, ports: () => [port] });
      const heard = new Set<string>();
      for (let times = 0; times < 40 && heard.size < 2; times++) {
        heard.add(await askBySctp(pods[0] as Place, clusterIp, port.port));
      }
      assert.equal(heard.size, 2, `all connections went to ${[...heard].join()}`);
      assert.match(await askBySctp(lab.outside, lab.node(1).ip, 30_090), /^pod-\d$/);
    });
    await rules.cleanup();
  }
}

const key = { namespace: 'default', name: 'policy' };

/** Packets that IPVS sends on are not forwarded: they are judged all the same, by the pod that they lead to. */
async function checkPolicies(cluster: TestCluster, api: MemoryObjects, check: typeof checkInScenario): Promise<void> {
  const { lab, addresses } = cluster;
  const [web, client] = cluster.pods as [Place, Place];
  const [toWeb, toRemote] = [addresses.clusterIp(20), addresses.clusterIp(21)];
  const leadTo = (name: string, clusterIp: string, pod: number) =>
    forwardedPort(cluster, { name, clusterIp, clusterEndpoints: endpointsOfPods(cluster, 1, [pod]) });
  await cluster.sync([leadTo('default/web:/tcp', toWeb, 0), leadTo('default/remote:/tcp', toRemote, 2)]);
  const put = (spec: NetworkPolicy['spec']): Promise<unknown> => api.create(networkPolicies, { metadata: key, spec });
  const open = async (ip: string, port = 80): Promise<void> => void (await lab.ask(client, ip, port));
  const closed = (ip: string, port = 80): Promise<void> =>
    assert.rejects(lab.ask(client, ip, port, { timeoutMs: 1_000 }), /timed out/i);
  await check('policies judge what ipvs sends on', async () => {
    await open(toWeb);
    await open(toRemote);
    await put({ podSelector: { matchLabels: { app: 'web' } }, policyTypes: ['Ingress'] });
    await eventually(() => closed(toWeb), waitMs);
    await open(toRemote);
    // The node itself is not shut out.
    await lab.ask(lab.node(1), toWeb, 80);
    await api.delete(networkPolicies, key);
    await eventually(() => open(toWeb), waitMs);
    await put({
      podSelector: { matchLabels: { app: 'client' } },
      policyTypes: ['Egress'],
      egress: [{ to: [{ namespaceSelector: { matchLabels: { team: 'other' } } }] }],
    });
    await eventually(() => closed(toWeb), waitMs);
    await open(toRemote);
    await api.delete(networkPolicies, key);
    await eventually(() => open(toWeb), waitMs);
  });
  await check('policies tell SCTP from TCP', async () => {
    const askWeb = (): Promise<string> => askBySctp(client, web.ip, sctpPort);
    const admit = (protocol: string, port: number): Promise<unknown> =>
      put({ podSelector: { matchLabels: { app: 'web' } }, ingress: [{ ports: [{ protocol, port }] }] });
    assert.equal(await askWeb(), 'pod-0');
    await admit('SCTP', sctpPort);
    await eventually(() => closed(web.ip, 8080), waitMs);
    assert.equal(await askWeb(), 'pod-0');
    await api.delete(networkPolicies, key);
    await eventually(() => open(web.ip, 8080), waitMs);
    await admit('TCP', 8080);
    const askInVain = (): Promise<string> => askBySctp(client, web.ip, sctpPort, 5);
    await eventually(() => assert.rejects(askInVain(), /failed with exit code/), waitMs);
    await open(web.ip, 8080);
    await api.delete(networkPolicies, key);
    assert.equal(await eventually(askWeb, waitMs), 'pod-0');
  });
  await cluster.cleanup();
}

/** Each check is told with the family in front of its name. */
async function main(): Promise<void> {
  const cluster = await setUpCluster(ipvs, { nodes: 2, backend: 'host-gw' });
  const { pods } = cluster;
  const policies = new PolicyBench(cluster);
  await policies.start(({ ips }) => ips);
  for (const [index, pod] of pods.entries()) await serveBySctp(pod, `pod-${index}`);
  for (const family of ipFamilies) {
    cluster.use(family);
    const check: typeof checkInScenario = (name, work) => checkInScenario(`${family} ${name}`, work);
    await checkPolicies(cluster, policies.api, check);
    await checkSctp(cluster, check);
  }
  await policies.close();
  await cluster.close();
}

runScenario(main);
