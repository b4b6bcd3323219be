import { isIPv4, isIPv6 } from 'node:net';
import type { EndpointSlice, Node, Pod, Service } from '@naru/api';
import { eventually } from '@naru/testing';
import { apply, ask, askJson, createNamespace, kubectl, run } from './cluster';
import { testUnlessOnContainerd } from './test-unless-on-containerd';
import { answeringNode, webDaemonSet } from './web-daemon-set';

/** What test/e2e/network/dual_stack.go does upstream, and more: the shared cluster is one of IPv4 before IPv6. */
const namespace = 'dual-stack';
const zone = `${namespace}.svc.cluster.local`;

const service = (name: string, spec: string): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name} }
spec: { selector: { app: web }, ports: [{ port: 80, targetPort: http }], ${spec} }
---`;

const manifest = `${webDaemonSet(18_086, { POD_IPS: 'status.podIPs', HOST_IPS: 'status.hostIPs' })}
${service('plain', 'type: ClusterIP')}
${service('of-v4', 'ipFamilies: [IPv4]')}
${service('of-v6', 'ipFamilies: [IPv6]')}
${service('both', 'type: LoadBalancer, ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv4, IPv6]')}
${service('v6-first', 'ipFamilyPolicy: RequireDualStack, ipFamilies: [IPv6, IPv4]')}
${service('headless', 'clusterIP: None, ipFamilyPolicy: PreferDualStack')}
`;

const own = (...args: string[]): Promise<string> => ask('-n', namespace, ...args);
const serviceOf = (name: string): Promise<Service> => askJson<Service>('-n', namespace, 'get', 'service', name);
const url = (host: string, port: string | number): string => `http://${isIPv6(host) ? `[${host}]` : host}:${port}/`;
/** Of an address or a range. */
const familyOf = (text: string): string => (text.includes(':') ? 'IPv6' : 'IPv4');

/** Asks from inside a pod, `times` times; answers the nodes whose pods answered. */
async function nodesHeard(pod: string, host: string, port: number, times = 1): Promise<string[]> {
  const loop = `for i in $(seq ${times}); do timeout 5 wget -q -O - ${url(host, port)} || exit 1; done`;
  const text = await own('exec', pod, '--', 'sh', '-c', loop);
  return [...new Set([...text.matchAll(/ on (\S+), /g)].map(match => match[1] ?? ''))].sort();
}

/** From this machine, which is outside the cluster. */
async function heardOutside(host: string, port: number): Promise<string> {
  const { stdout } = await run('curl', ['--silent', '--fail', '--globoff', '--max-time', '5', url(host, port)]);
  return answeringNode(stdout);
}

let workers: Node[] = [];
let pods: Pod[] = [];
const nameOf = ({ metadata }: Pod | Node): string => metadata?.name ?? '';
const podIpsOf = ({ status }: Pod): string[] => (status?.podIPs ?? []).map(({ ip }) => ip);
const internalIps = ({ status }: Node): string[] =>
  (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP').map(({ address }) => address);

beforeAll(async () => {
  await createNamespace(namespace);
  await apply(manifest, '-n', namespace);
  await own('rollout', 'status', 'daemonset/web', '--timeout=120s');
  workers = (await askJson<{ items: Node[] }>('get', 'nodes')).items;
  pods = (await askJson<{ items: Pod[] }>('-n', namespace, 'get', 'pods')).items;
});
afterAll(() => kubectl(['delete', 'namespace', namespace, '--wait=false', '--ignore-not-found']));

test('nodes and pods have an address of each family, IPv4 first, and nodes a range of each', () => {
  expect(workers.length).toBeGreaterThan(1);
  for (const node of workers) {
    expect(internalIps(node).map(familyOf)).toEqual(['IPv4', 'IPv6']);
    expect(node.spec?.podCIDRs?.map(familyOf)).toEqual(['IPv4', 'IPv6']);
    expect(node.spec?.podCIDR).toBe(node.spec?.podCIDRs?.[0]);
  }
  for (const pod of pods) {
    expect(podIpsOf(pod).map(familyOf)).toEqual(['IPv4', 'IPv6']);
    expect(pod.status?.podIP).toBe(podIpsOf(pod)[0]);
    const node = workers.find(each => nameOf(each) === pod.spec?.nodeName);
    expect(pod.status?.hostIPs?.map(({ ip }) => ip)).toEqual(internalIps(node!));
  }
});

test('a pod knows its addresses of both families from its environment and its hosts file', async () => {
  const [pod] = pods;
  const told = await own('exec', nameOf(pod!), '--', 'sh', '-c', 'echo $POD_IPS; echo $HOST_IPS; cat /etc/hosts');
  const [podIps, hostIps, ...hosts] = told.split('\n');
  expect(podIps?.split(',')).toEqual(podIpsOf(pod!));
  expect(hostIps?.split(',')).toEqual(pod?.status?.hostIPs?.map(({ ip }) => ip));
  expect(hosts).toEqual(expect.arrayContaining(podIpsOf(pod!).map(ip => `${ip}\t${nameOf(pod!)}`)));
});

testUnlessOnContainerd(
  'a pod has its IPv6 address from the first moment: nobody is asked whether he has it already',
  async () => {
    const settings = '/proc/sys/net/ipv6/conf/eth0/accept_dad';
    for (const pod of pods) expect(await own('exec', nameOf(pod), '--', 'cat', settings)).toBe('0');
  },
);

test('pods of different nodes reach each other by both families', async () => {
  for (const from of pods)
    for (const to of pods)
      for (const ip of podIpsOf(to))
        await eventually(async () => expect(await nodesHeard(nameOf(from), ip, 8080)).toEqual([to.spec?.nodeName]));
});

test.each<[string, string[]]>([
  ['plain', ['IPv4']],
  ['of-v4', ['IPv4']],
  ['of-v6', ['IPv6']],
  ['both', ['IPv4', 'IPv6']],
  ['v6-first', ['IPv6', 'IPv4']],
])(
  'the Service %s has addresses and slices of %j, and each address leads to the pods of every node',
  async (name, families) => {
    const { spec } = await serviceOf(name);
    expect(spec?.ipFamilies).toEqual(families);
    expect(spec?.clusterIPs?.map(familyOf)).toEqual(families);
    expect(spec?.clusterIP).toBe(spec?.clusterIPs?.[0]);
    await eventually(async () => {
      const { items } = await askJson<{ items: EndpointSlice[] }>(
        ...['-n', namespace, 'get', 'endpointslices', '-l', `kubernetes.io/service-name=${name}`],
      );
      expect(items.map(({ addressType }) => addressType).sort()).toEqual([...families].sort());
      for (const { addressType, endpoints } of items)
        expect(endpoints?.flatMap(({ addresses }) => addresses).sort()).toEqual(
          pods
            .flatMap(podIpsOf)
            .filter(ip => familyOf(ip) === addressType)
            .sort(),
        );
    });
    const nodes = workers.map(nameOf).sort();
    for (const address of spec?.clusterIPs ?? [])
      await eventually(async () => expect(await nodesHeard(nameOf(pods[0]!), address, 80, 30)).toEqual(nodes));
  },
);

test('node ports, host ports and load balancer addresses answer by both families', async () => {
  const nodePort = (await serviceOf('both')).spec?.ports?.[0]?.nodePort ?? 0;
  for (const node of workers)
    for (const ip of internalIps(node)) {
      await eventually(() => heardOutside(ip, nodePort));
      expect(await eventually(() => heardOutside(ip, 18_086))).toBe(nameOf(node));
    }
  const ingress = await eventually(async () => {
    const ips = ((await serviceOf('both')).status?.loadBalancer?.ingress ?? []).map(({ ip = '' }) => ip);
    expect(ips.map(familyOf)).toEqual(['IPv4', 'IPv6']);
    return ips;
  });
  for (const ip of ingress) await eventually(() => heardOutside(ip, 80));
});

test('a Service is given a second family while it answers, and gives it up', async () => {
  const patch = (spec: object): Promise<string> => own('patch', 'service', 'plain', '-p', JSON.stringify({ spec }));
  const [first = ''] = (await serviceOf('plain')).spec?.clusterIPs ?? [];
  await patch({ ipFamilyPolicy: 'PreferDualStack' });
  const both = (await serviceOf('plain')).spec?.clusterIPs ?? [];
  expect(both).toEqual([first, expect.stringContaining(':')]);
  const [from] = pods;
  await eventually(() => nodesHeard(nameOf(from!), both[1]!, 80));
  await patch({ ipFamilyPolicy: 'SingleStack' });
  expect((await serviceOf('plain')).spec).toMatchObject({ clusterIPs: [first], ipFamilies: ['IPv4'] });
  await eventually(async () => {
    const slices = await own('get', 'endpointslices', '-l', 'kubernetes.io/service-name=plain', '-o', 'name');
    expect(slices.split('\n')).toHaveLength(1);
  });
  await eventually(async () => expect(await nodesHeard(nameOf(from!), first, 80)).toHaveLength(1));
});

test('the cluster DNS answers by both families, with names and addresses of both', async () => {
  const servers = (await askJson<Service>('-n', 'kube-system', 'get', 'service', 'kube-dns')).spec?.clusterIPs ?? [];
  expect(servers.map(familyOf)).toEqual(['IPv4', 'IPv6']);
  const lookup = async (type: string, name: string, server: string): Promise<string> =>
    own('exec', nameOf(pods[0]!), '--', 'nslookup', `-type=${type}`, name, server);
  const addressesIn = (text: string): string[] => [...text.matchAll(/^Address: (\S+)$/gm)].map(match => match[1] ?? '');
  const { spec } = await serviceOf('both');
  const ips = pods.flatMap(podIpsOf);
  for (const server of servers)
    await eventually(async () => {
      expect(addressesIn(await lookup('A', `both.${zone}`, server))).toEqual(spec?.clusterIPs?.filter(isIPv4));
      expect(addressesIn(await lookup('AAAA', `both.${zone}`, server))).toEqual(spec?.clusterIPs?.filter(isIPv6));
      expect(addressesIn(await lookup('AAAA', `headless.${zone}`, server)).sort()).toEqual(ips.filter(isIPv6).sort());
    });
  const second = spec?.clusterIPs?.[1] ?? '';
  const lookBack = ['exec', nameOf(pods[0]!), '--', 'nslookup', second, servers[1]!];
  await eventually(async () => expect(await own(...lookBack)).toContain(`name = both.${zone}`));
});
