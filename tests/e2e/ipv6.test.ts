import { readFileSync, writeFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import type { EndpointSlice, Node, Pod, Service } from '@naru/api';
import { eventually } from '@naru/testing';
import { run, type ClusterAccess } from './cluster';
import { startCluster, stopCluster } from './own-cluster';
import { answeringNode, nobodyReachesWeb, nodePortOfWeb, webDaemonSet } from './web-daemon-set';

/** A cluster of IPv6 alone: no pod, Service or Node of it has another address. */
const options = { name: 'e2e-ipv6', portOffset: 20_100, nodeCidr: '10.93.0.0/24' };
const domain = 'naru.example';
const flags = ['--ip-family', 'ipv6', '--cluster-domain', domain, '--workers', '2', '--dns-replicas', '2'];

const manifest = `${webDaemonSet(18_080)}
apiVersion: v1
kind: Pod
metadata: { name: client }
spec:
  terminationGracePeriodSeconds: 0
  nodeSelector: { kubernetes.io/hostname: worker-1 }
  containers: [{ name: main, image: 'naru.dev/web:v1' }]
---${nodePortOfWeb}`;

interface List<T> {
  items: T[];
}

let cluster: ClusterAccess;
let nodes: Node[] = [];
let pods: Pod[] = [];
let service: Service;

const nameOf = ({ metadata }: Pod | Node): string => metadata?.name ?? '';
const url = (ip: string, port: number): string => `http://[${ip}]:${port}/`;
const nodeIp = (node: Node): string => node.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '';
const clusterIp = (): string => service.spec?.clusterIP ?? '';
const inClient = (...command: string[]): Promise<string> => cluster.ask('exec', 'client', '--', ...command);
const wget = (target: string): Promise<string> => inClient('timeout', '5', 'wget', '-q', '-O', '-', target);
const lookup = (type: string, name: string): Promise<string> => inClient('nslookup', `-type=${type}`, name);

/** The nodes whose pods answer, when somebody asks again and again. */
async function nodesHeard(ask: () => Promise<string>): Promise<string[]> {
  const heard = new Set<string>();
  await eventually(async () => {
    heard.add(answeringNode(await ask()));
    expect(heard.size).toBe(nodes.length);
  });
  return [...heard].sort();
}

const onNode = ['ip', 'netns', 'exec', `naru-${options.name}.worker-2`];

/** From this machine, which is outside the cluster, or `where` else. */
async function curl(target: string, where: string[] = [], more: string[] = []): Promise<string> {
  const [command = '', ...args] = [...where, 'curl', '-sf', '--globoff', '--max-time', '5', ...more, target];
  return (await run(command, args)).stdout;
}

beforeAll(async () => {
  cluster = await startCluster({ ...options, flags });
  await eventually(() => cluster.apply(manifest));
  await cluster.kubectl(['rollout', 'status', 'daemonset/web', '--timeout=120s']);
  await cluster.kubectl(['wait', '--for=condition=Ready', 'pod/client', '--timeout=120s']);
  nodes = (await cluster.askJson<List<Node>>('get', 'nodes')).items;
  pods = (await cluster.askJson<List<Pod>>('get', 'pods', '-l', 'app=web')).items;
  service = await cluster.askJson<Service>('get', 'service', 'web');
});
afterAll(() => stopCluster(cluster));

test.concurrent('names are resolved while one of two DNS servers is lost for good, and its endpoint goes', async () => {
  const slicesOfDns = async (): Promise<string[]> => {
    const of = ['-l', 'kubernetes.io/service-name=kube-dns'];
    const { items } = await cluster.askJson<List<EndpointSlice>>('-n', 'kube-system', 'get', 'endpointslices', ...of);
    return items.map(({ metadata }) => metadata?.name ?? '');
  };
  const resolve = async (): Promise<void> =>
    expect(await lookup('AAAA', `web.default.svc.${domain}`)).toContain(`Address: ${clusterIp()}`);
  await eventually(async () => expect(await slicesOfDns()).toHaveLength(2));
  const folder = `/run/naru-${options.name}/services/dns-2`;
  // Its keeper starts it no more.
  writeFileSync(`${folder}/down`, '');
  process.kill(Number(readFileSync(`${folder}/state`, 'utf8').split(' ')[0]), 'SIGKILL');
  await eventually(async () => {
    await eventually(resolve);
    expect(await slicesOfDns()).toEqual(['kube-dns-dns-ipv6']);
  });
  // The nodes hear of that when they do: from then on each question goes to the other one.
  const name = `web.default.svc.${domain}`;
  const many = `for i in $(seq 20); do nslookup -type=AAAA ${name} >/dev/null || exit 1; done`;
  await eventually(() => inClient('sh', '-c', many));
});

test('nodes, pods and Services have addresses of IPv6 and no others', async () => {
  expect(nodes.length).toBeGreaterThan(1);
  for (const { status, spec } of nodes) {
    const ips = (status?.addresses ?? []).filter(({ type }) => type === 'InternalIP');
    expect(ips.map(({ address }) => isIPv6(address))).toEqual([true]);
    expect(spec?.podCIDRs).toEqual([expect.stringMatching(/^fd00:10:244:.*\/64$/)]);
  }
  for (const { status } of pods) {
    expect(status?.podIPs).toEqual([{ ip: status?.podIP }]);
    expect(isIPv6(status?.podIP ?? '')).toBe(true);
  }
  const { items } = await cluster.askJson<List<Service>>('get', 'services', '--all-namespaces');
  for (const { spec } of items) {
    expect(spec?.ipFamilies).toEqual(['IPv6']);
    expect(spec?.clusterIPs?.map(isIPv6)).toEqual([true]);
  }
  const addresses = await inClient('ip', '-4', 'address', 'show', 'dev', 'eth0');
  expect(addresses).not.toContain('inet ');
});

test('pods of both nodes are reached: by their addresses, a cluster IP, node ports and host ports', async () => {
  for (const { status, spec } of pods) {
    const answer = await eventually(() => wget(url(status?.podIP ?? '', 8080)));
    expect(answer).toContain(spec?.nodeName);
  }
  const all = nodes.map(nameOf).sort();
  expect(await nodesHeard(() => wget(url(clusterIp(), 80)))).toEqual(all);
  expect(await nodesHeard(() => curl(url(clusterIp(), 80), onNode))).toEqual(all);
  const nodePort = service.spec?.ports?.[0]?.nodePort ?? 0;
  for (const node of nodes) {
    expect(await nodesHeard(() => curl(url(nodeIp(node), nodePort)))).toEqual(all);
    expect(await eventually(() => curl(url(nodeIp(node), 18_080)))).toContain(nameOf(node));
  }
});

test('the cluster DNS answers by IPv6, and shows its metrics', async () => {
  const server = await cluster.ask('-n', 'kube-system', 'get', 'svc', 'kube-dns', '-o', 'jsonpath={.spec.clusterIP}');
  expect(await inClient('cat', '/etc/resolv.conf')).toContain(`nameserver ${server}\n`);
  await eventually(async () => expect(await wget('http://web/')).toContain('Hello'));
  await eventually(async () => expect(await inClient('nslookup', clusterIp())).toContain('name = web.default.svc'));
  const metrics = await eventually(() => wget(`http://[${server}]:9153/metrics`));
  expect(metrics).toContain('coredns_dns_requests_total');
});

test('the API is reached by the Service kubernetes, with a certificate of its address', async () => {
  // The pods' wget has no TLS that would do: a connection, by name, is all that is asked of them.
  await eventually(() => inClient('nc', '-w', '5', 'kubernetes.default', '443', '-e', 'true'));
  const ip = await cluster.ask('get', 'service', 'kubernetes', '-o', 'jsonpath={.spec.clusterIP}');
  const authority = ['--cacert', `/var/lib/naru/${options.name}/pki/admin/ca.crt`];
  const version = await eventually(() => curl(`https://[${ip}]/version`, onNode, authority));
  expect(JSON.parse(version)).toHaveProperty('gitVersion');
});

test('the domain of the cluster may be another: of names, of search paths, of the certificate', async () => {
  expect(await inClient('cat', '/etc/resolv.conf')).toContain(`search default.svc.${domain} svc.${domain} ${domain}`);
  expect(await eventually(() => wget(`http://web.default.svc.${domain}/`))).toContain('Hello');
  const name = `kubernetes.default.svc.${domain}`;
  const ip = await cluster.ask('get', 'service', 'kubernetes', '-o', 'jsonpath={.spec.clusterIP}');
  const resolved = ['--cacert', `/var/lib/naru/${options.name}/pki/admin/ca.crt`, '--resolve', `${name}:443:[${ip}]`];
  const version = await eventually(() => curl(`https://${name}/version`, onNode, resolved));
  expect(JSON.parse(version)).toHaveProperty('gitVersion');
});

test('logs, exec, port-forward, the proxies and top go to the kubelets by IPv6', async () => {
  for (const pod of pods) {
    await eventually(async () => expect(await cluster.ask('logs', nameOf(pod))).toContain('serving version v1'));
    expect(await cluster.ask('exec', nameOf(pod), '--', 'hostname')).toBe(nameOf(pod));
  }
  const forward = cluster.follow(['port-forward', `pod/${nameOf(pods[0]!)}`, ':8080']);
  try {
    await eventually(() => expect(forward.output()).toMatch(/Forwarding from 127\.0\.0\.1:\d+/));
    const local = /127\.0\.0\.1:\d+/.exec(forward.output())![0];
    expect(await eventually(() => curl(`http://${local}/`))).toContain(nameOf(pods[0]!));
  } finally {
    forward.child.kill();
  }
  const page = '/api/v1/namespaces/default/services/web:http/proxy/';
  expect(await eventually(() => cluster.ask('get', '--raw', page))).toContain('Hello');
  await eventually(async () => {
    const table = await cluster.ask('top', 'node', '--no-headers');
    expect(table.match(/^worker-\d +\d+m /gm)).toHaveLength(nodes.length);
    expect(await cluster.ask('top', 'pod', 'client', '--no-headers')).toMatch(/^client +\d+m /);
  }, 120_000);
});

test('a NetworkPolicy shuts pods off, by their addresses and by their Service, while their probes go on', async () => {
  const targets = [...pods.map(({ status }) => url(status?.podIP ?? '', 8080)), url(clusterIp(), 80)];
  const open = async (): Promise<boolean[]> =>
    Promise.all(
      targets.map(async target => {
        const command = ['exec', 'client', '--', 'timeout', '2', 'wget', '-q', '-O', '/dev/null', target];
        return (await cluster.kubectl(command, { anyCode: true })).code === 0;
      }),
    );
  await eventually(async () => expect(await open()).toEqual([true, true, true]));
  await cluster.apply(nobodyReachesWeb);
  await eventually(async () => expect(await open()).toEqual([false, false, false]));
  for (const { status } of (await cluster.askJson<List<Pod>>('get', 'pods', '-l', 'app=web')).items)
    expect(status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('True');
  await cluster.kubectl(['delete', 'networkpolicy', 'nobody']);
  await eventually(async () => expect(await open()).toEqual([true, true, true]));
});
