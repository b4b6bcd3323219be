import { isIPv4 } from 'node:net';
import type { Node, Pod, Service } from '@naru/api';
import { eventually } from '@naru/testing';
import { run, runtimeProcess, type ClusterAccess } from './cluster';
import { startCluster, stopCluster } from './own-cluster';
import { answeringNode, nobodyReachesWeb, nodePortOfWeb, webDaemonSet } from './web-daemon-set';

/**
 * Somebody else's pod network, as such networks come: a DaemonSet in the host's network that puts a plugin of its own and a
 * configuration with other plugins into the node's folders, and sets the routes between the nodes.
 */
const options = { name: 'e2e-cni', portOffset: 20_200, nodeCidr: '10.92.0.0/24' };
const flags = ['--pod-network', 'none', '--workers', '2', '--dns-replicas', '0', '--metrics-server=false'];

/** A plugin in shell: notes each call and gives the pod's interface a name beside its own. */
const plugin = `#!/bin/sh
# By the specification: the configuration on standard input, the rest in the environment, the result on standard output.
input=$(cat)
mkdir -p /run/third-party
[ "$CNI_COMMAND" = VERSION ] || printf '%s %s %s\\n' "$CNI_COMMAND" "$CNI_IFNAME" "$CNI_ARGS" >>/run/third-party/calls
case $CNI_COMMAND in
  VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["0.4.0","1.0.0"]}' ;;
  ADD)
    nsenter --net="$CNI_NETNS" ip link set dev "$CNI_IFNAME" alias third-party || exit 1
    printf '%s' "$input" | ${process.execPath} -p 'JSON.stringify(JSON.parse(require("fs").readFileSync(0)).prevResult)'
    ;;
esac
`;

const conflist = (subnet: string): object => ({
  cniVersion: '1.0.0',
  name: 'third-party',
  plugins: [
    {
      type: 'ptp',
      ipMasq: false,
      mtu: 1400,
      ipam: { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }] },
    },
    { type: 'tuning', sysctl: { 'net.ipv4.conf.IFNAME.arp_notify': '1' } },
    { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    { type: 'bandwidth', capabilities: { bandwidth: true } },
    { type: 'firewall', backend: 'iptables' },
    { type: 'third-party' },
  ],
});

/** What the DaemonSet's container does; /config has what its ConfigMap holds. */
const install = `
cp /config/plugin /opt/cni/bin/.new && chmod 755 /opt/cni/bin/.new && mv /opt/cni/bin/.new /opt/cni/bin/third-party
while read -r node subnet address; do
  [ "$node" = "$NODE_NAME" ] || ip route replace "$subnet" via "$address"
done </config/routes
# Last, and as a whole: from now on the node is Ready.
cp /config/"$NODE_NAME" /etc/cni/net.d/.new && mv /etc/cni/net.d/.new /etc/cni/net.d/05-third-party.conflist
exec sleep 1000000
`;

const agent = {
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'third-party', namespace: 'kube-system' },
  spec: {
    selector: { matchLabels: { app: 'third-party' } },
    template: {
      metadata: { labels: { app: 'third-party' } },
      spec: {
        hostNetwork: true,
        terminationGracePeriodSeconds: 0,
        tolerations: [{ operator: 'Exists' }],
        containers: [
          {
            name: 'main',
            image: 'naru.dev/web:v1',
            command: ['sh', '-ec', install],
            securityContext: { privileged: true, runAsUser: 0 },
            env: [{ name: 'NODE_NAME', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
            volumeMounts: [
              { name: 'config', mountPath: '/config' },
              { name: 'net-d', mountPath: '/etc/cni/net.d' },
              { name: 'bin', mountPath: '/opt/cni/bin' },
              { name: 'run', mountPath: '/host/run' },
            ],
          },
        ],
        volumes: [
          { name: 'config', configMap: { name: 'third-party' } },
          { name: 'net-d', hostPath: { path: '/etc/cni/net.d', type: 'DirectoryOrCreate' } },
          { name: 'bin', hostPath: { path: '/opt/cni/bin', type: 'DirectoryOrCreate' } },
          { name: 'run', hostPath: { path: '/run' } },
        ],
      },
    },
  },
};

const workload = `${webDaemonSet(18_081)}${nodePortOfWeb}`;

let cluster: ClusterAccess;
let nodes: Node[] = [];
let pods: Pod[] = [];

const nameOf = ({ metadata }: Pod | Node): string => metadata?.name ?? '';
const listNodes = async (): Promise<Node[]> => (await cluster.askJson<{ items: Node[] }>('get', 'nodes')).items;
const readyOf = ({ status }: Node | Pod) => status?.conditions?.find(({ type }) => type === 'Ready');
const addressOf = ({ status }: Node): string =>
  status?.addresses?.find(({ type }) => type === 'InternalIP')?.address ?? '';
const inPod = (pod: Pod, ...command: string[]): Promise<string> => cluster.ask('exec', nameOf(pod), '--', ...command);
const wget = (from: Pod, target: string): Promise<string> => inPod(from, 'timeout', '3', 'wget', '-qO-', target);

/** What a DaemonSet's pod sees of the calls on its node. */
async function callsOn(node: string): Promise<string[]> {
  const selector = ['-l', 'app=third-party', '--field-selector', `spec.nodeName=${node}`];
  const pod = await cluster.ask('-n', 'kube-system', 'get', 'pods', ...selector, '-o', 'name');
  return (await cluster.ask('-n', 'kube-system', 'exec', pod, '--', 'cat', '/host/run/third-party/calls')).split('\n');
}

beforeAll(async () => {
  cluster = await startCluster({ ...options, flags });
  nodes = await eventually(async () => {
    const found = await listNodes();
    // Another process gives each its range, whenever it hears of the node.
    for (const { spec } of found) expect(spec?.podCIDR).toBeDefined();
    return found;
  });
});
afterAll(() => stopCluster(cluster));

test('nodes without a pod network are there, and say what they lack', async () => {
  expect(nodes.map(nameOf)).toEqual(['worker-1', 'worker-2']);
  const wanted = nodes.map(node => {
    const folder = `/var/lib/naru/${options.name}/nodes/${nameOf(node)}/cni/net.d`;
    // Debian's containerd does not name the folder.
    const lacking = runtimeProcess === 'containerd' ? '' : `no network config found in ${folder}: `;
    return {
      status: 'False',
      reason: 'KubeletNotReady',
      message: `container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: ${lacking}cni plugin not initialized`,
    };
  });
  // While a kubelet starts, it lacks more than that.
  await eventually(async () => expect((await listNodes()).map(readyOf)).toMatchObject(wanted));
});

test('a DaemonSet brings plugin and configuration, and the nodes become Ready', async () => {
  const routes = nodes.map(node => `${nameOf(node)} ${node.spec?.podCIDR} ${addressOf(node)}\n`).join('');
  const lists = nodes.map(node => [nameOf(node), JSON.stringify(conflist(node.spec?.podCIDR ?? ''))]);
  const configMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'third-party', namespace: 'kube-system' },
    data: { plugin, routes, ...(Object.fromEntries(lists) as Record<string, string>) },
  };
  await cluster.apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [configMap, agent] }));
  await eventually(async () => {
    for (const node of await listNodes()) expect(readyOf(node)?.status).toBe('True');
  }, 120_000);
  await eventually(() => cluster.apply(workload));
  await cluster.kubectl(['rollout', 'status', 'daemonset/web', '--timeout=120s']);
  pods = (await cluster.askJson<{ items: Pod[] }>('get', 'pods', '-l', 'app=web')).items;
  expect(pods).toHaveLength(nodes.length);
});

test('each plugin of the chain did its part for the pods', async () => {
  for (const pod of pods) {
    const node = nodes.find(each => nameOf(each) === pod.spec?.nodeName)!;
    const [prefix] = (node.spec?.podCIDR ?? '').split(/\d+\//);
    expect(pod.status?.podIP).toMatch(new RegExp(`^${prefix?.replaceAll('.', '\\.')}\\d+$`));
    const link = '/sys/class/net/eth0';
    const setting = '/proc/sys/net/ipv4/conf/eth0/arp_notify';
    expect(await inPod(pod, 'cat', `${link}/mtu`, `${link}/ifalias`, setting)).toBe('1400\nthird-party\n1');
    expect(await callsOn(nameOf(node))).toContainEqual(
      expect.stringMatching(`^ADD eth0 .*K8S_POD_NAME=${nameOf(pod)}`),
    );
  }
});

test('pods of two nodes reach each other, and Services, node ports and host ports lead to them', async () => {
  const [first, second] = pods as [Pod, Pod];
  for (const [from, to] of [
    [first, second],
    [second, first],
  ] as const)
    expect(await eventually(() => wget(from, `http://${to.status?.podIP}:8080/`))).toContain(to.spec?.nodeName);
  const { spec } = await cluster.askJson<Service>('get', 'service', 'web');
  const heard = new Set<string>();
  await eventually(async () => {
    heard.add(answeringNode(await wget(first, `http://${spec?.clusterIP}/`)));
    expect([...heard].sort()).toEqual(nodes.map(nameOf));
  });
  for (const node of nodes) {
    expect(isIPv4(addressOf(node))).toBe(true);
    const curl = async (port: number | undefined): Promise<string> =>
      (await run('curl', ['-sf', '--max-time', '3', `http://${addressOf(node)}:${port}/`])).stdout;
    expect(await eventually(() => curl(spec?.ports?.[0]?.nodePort))).toContain('Hello');
    expect(await eventually(() => curl(18_081))).toContain(nameOf(node));
  }
});

test('NetworkPolicies are enforced on it', async () => {
  const [first, second] = pods as [Pod, Pod];
  const reaches = (): Promise<boolean> =>
    wget(first, `http://${second.status?.podIP}:8080/`).then(
      () => true,
      () => false,
    );
  await cluster.apply(nobodyReachesWeb);
  await eventually(async () => expect(await reaches()).toBe(false));
  await cluster.kubectl(['delete', 'networkpolicy', 'nobody']);
  await eventually(async () => expect(await reaches()).toBe(true));
});

test('a pod that goes is taken off the network, and its address is free again', async () => {
  const [pod] = pods as [Pod];
  const node = pod.spec?.nodeName ?? '';
  const given = `/run/naru-${options.name}/nodes/${node}/cni-state/networks/third-party/${pod.status?.podIP}`;
  const isGiven = async (): Promise<boolean> => (await run('test', ['-e', given], { anyCode: true })).code === 0;
  expect(await isGiven()).toBe(true);
  await cluster.kubectl(['delete', 'daemonset', 'web', '--wait=false']);
  await eventually(async () => {
    expect(await callsOn(node)).toContainEqual(expect.stringMatching(`^DEL eth0 .*K8S_POD_NAME=${nameOf(pod)}`));
    expect(await isGiven()).toBe(false);
  });
});
