import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from '@naru/foundation';
import { checkContainerRuntime, type ContainerRuntime } from '../agent/container-runtime';
import { agentFlags } from '../agent/flags';
import { readRegistries } from '../agent/registries';
import { readKubeletFields } from '../agent/kubelet-configuration';
import { ipFamilies, type IpFamilySetting } from '../address';
import { checkRanges } from '../check-ranges';
import {
  Cluster,
  checkDomain,
  checkName,
  defaultRanges,
  defaultSettings,
  loadCluster,
  readiness,
  maxDnsReplicas,
  saveCluster,
} from '../cluster';
import { clusterFlags, command } from '../command';
import { controlPlaneServices, prepareControlPlane } from '../control-plane';
import { controlPlaneHealth } from '../health';
import { listServices, readService, startService, stopService, writeService } from '../keeper';
import { KubeApi, isNodeUp } from '../kube-api';
import { lock } from '../lock';
import { findUplinks, setUpBridge } from '../network/bridge';
import { missingIpv6Switches } from '../network/ipv6-forwarding';
import { openOutside } from '../network/outside';
import { nodeProcess, startNode } from '../node/lifecycle';
import { createNode, listNodes } from '../node/record';
import { checkRoot, preflight } from '../preflight';
import { isRunning } from '../process-id';
import { renewProcesses } from '../renew';
import { Steps } from '../steps';
import { takeDown } from '../take-down';
import { waitFor } from '../wait';
import { withdrawMetrics } from '../withdraw-metrics';

const flags = {
  ...clusterFlags,
  workers: { description: 'how many nodes there should be at least (default 3)', type: 'number' },
  ha: { description: 'several api-servers; only "no" is possible yet', type: 'string', default: 'no' },
  'proxy-mode': { description: 'nftables, iptables, ipvs or userspace (default nftables)', type: 'string' },
  'pod-network': { description: 'vxlan, host-gw or none (default vxlan)', type: 'string' },
  'network-policy': { description: 'false: leave NetworkPolicies to others (default true)', type: 'boolean' },
  'ip-family': { description: 'addresses of pods and Services: ipv4, ipv6 or dual (default ipv4)', type: 'string' },
  'cluster-cidr': {
    description: 'network of the pods, of two families with a comma between (default 10.244.0.0/16, fd00:10:244::/56)',
    type: 'string',
  },
  'kubelet-config': {
    description:
      'file with fields of a KubeletConfiguration for all nodes that boot from now on (maxPods, clusterDNS, ...)',
    type: 'string',
  },
  'container-runtime': {
    ...agentFlags['container-runtime'],
    description: 'of the nodes that are made now: naru, or containerd for that of this machine (default naru)',
  },
  'registry-config': {
    description: 'JSON file with mirrors and registries without TLS, for all nodes that boot from now on',
    type: 'string',
  },
  'cluster-domain': { description: 'zone of the cluster DNS (default cluster.local)', type: 'string' },
  'dns-replicas': { description: `processes of the cluster DNS, 0 to ${maxDnsReplicas} (default 1)`, type: 'number' },
  'metrics-server': { description: 'true or false: for kubectl top and autoscaling (default true)', type: 'boolean' },
  'service-cidr': {
    description: 'network of the Services, likewise (default 10.96.0.0/16, fd00:10:96::/112)',
    type: 'string',
  },
} as const;

type UpFlags = Parameters<Parameters<typeof command<typeof flags>>[0]['run']>[0]['flags'];

const defaultWorkers = 3;
const maxWorkers = 200;

function checkFamily(text: string): IpFamilySetting {
  const found = ipFamilies.find(family => family === text);
  if (!found) throw new UsageError(`flag --ip-family: "${text}" is none of ${ipFamilies.join(', ')}`);
  return found;
}

/** The cluster that the flags describe; what an existing one was made with cannot be changed afterwards. */
function chooseCluster(given: UpFlags): Cluster {
  const name = checkName('cluster name', given.cluster);
  const existing = loadCluster(name);
  const domain = given['cluster-domain'];
  const wanted = {
    portOffset: given['port-offset'],
    nodeCidr: given['node-cidr'],
    ipFamily: given['ip-family'] === undefined ? undefined : checkFamily(given['ip-family']),
    clusterCidr: given['cluster-cidr'],
    serviceCidr: given['service-cidr'],
    clusterDomain: domain === undefined ? undefined : checkDomain('cluster-domain', domain),
    proxyMode: given['proxy-mode'],
    podNetwork: given['pod-network'],
    networkPolicy: given['network-policy'],
  };
  const decided = Object.fromEntries(Object.entries(wanted).filter(([, value]) => value !== undefined));
  // How many there are may change at any time.
  const replicas = given['dns-replicas'];
  const metricsServer = given['metrics-server'];
  const changeable = {
    ...(replicas === undefined ? {} : { dnsReplicas: replicas }),
    ...(metricsServer === undefined ? {} : { metricsServer }),
  };
  if (!existing) {
    const ranges = defaultRanges[wanted.ipFamily ?? defaultSettings.ipFamily];
    return new Cluster(checkRanges({ ...defaultSettings, ...ranges, ...decided, ...changeable, name }));
  }
  for (const [key, value] of Object.entries(decided)) {
    const is = existing.settings[key as keyof typeof wanted];
    if (is !== value)
      throw new UsageError(`cluster "${name}" was made with ${key} ${is}, not ${value}; ./naru down --purge drops it`);
  }
  return new Cluster({ ...existing.settings, ...changeable });
}

/** Starts what is missing, and anew what has another command line than before. Answers the names of what it has started. */
async function startControlPlane(cluster: Cluster): Promise<string> {
  const started: string[] = [];
  const specs = controlPlaneServices(cluster);
  for (const name of listServices(cluster.services)) {
    // Replicas that are too many now, and what is not wanted any more.
    if (!/^(dns(-\d+)?|metrics-server)$/.test(name) || specs.some(spec => spec.name === name)) continue;
    await stopService(cluster.services, name);
    rmSync(path.join(cluster.services, name), { recursive: true });
  }
  for (const spec of specs) {
    const changed = writeService(cluster.services, spec);
    if (changed) await stopService(cluster.services, spec.name);
    const { process: kept } = readService(path.join(cluster.services, spec.name));
    if (!kept || !isRunning(kept)) started.push(spec.name);
    startService(cluster.services, spec.name);
  }
  return started.length > 0 ? started.join(', ') : 'running already';
}

/** Waits for a process to be healthy; gives up early, with its last words, when it keeps ending. */
async function waitHealthy(cluster: Cluster, api: KubeApi, name: string): Promise<void> {
  const restarts = (): number => readService(path.join(cluster.services, name)).restarts;
  // The keeper counts for as long as it runs, and every new bundle is a restart too: only those from now on tell.
  const before = restarts();
  await waitFor(
    name,
    async () => {
      if (restarts() - before >= 4) throw new Error(`${name} keeps ending:\n${lastWords(cluster, name)}`);
      return (await controlPlaneHealth(cluster, api))[name] === 'ok';
    },
    { timeoutMs: 120_000 },
  ).catch((error: Error) => {
    throw new Error(`${error.message}; see ./naru logs ${name}`);
  });
}

function lastWords(cluster: Cluster, name: string): string {
  const file = path.join(cluster.logs, `${name}.log`);
  return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n').slice(-5).join('\n') : '';
}

/**
 * Waits until every node is Ready. What the store says of a node that has just been booted may be from before: only a
 * status that its kubelet has reported since counts.
 */
async function waitNodesReady(
  { settings }: Cluster,
  api: KubeApi,
  names: string[],
  booted: Map<string, number>,
): Promise<void> {
  let missing = names;
  await waitFor(
    'nodes to be Ready',
    async () => {
      const nodes = await api.listNodes().catch(() => []);
      const ready = nodes.filter(node => isNodeUp(node, settings.podNetwork, booted.get(node.metadata.name)));
      const found = new Set(ready.map(node => node.metadata.name));
      missing = names.filter(name => !found.has(name));
      return missing.length === 0;
    },
    { timeoutMs: 120_000 },
  ).catch((error: Error) => {
    throw new Error(`${error.message}: ${missing.join(', ')}; see ./naru status and ./naru logs ${missing[0]}/kubelet`);
  });
}

function printNext(cluster: Cluster, nodes: number, elapsed: string): void {
  const own = cluster.name === 'naru' ? '' : ` --cluster ${cluster.name}`;
  process.stdout.write(`
Cluster "${cluster.name}" is up: ${nodes} node${nodes === 1 ? '' : 's'} ${readiness(cluster)}${cluster.settings.podNetwork === 'none' ? ' (docs/guides/cni.md),' : ''} after ${elapsed}. Next:

  export KUBECONFIG=$(./naru kubeconfig${own})
  kubectl get nodes
  examples/web/build-image && ./naru image load examples/web/web.tar${own}
  kubectl apply -f examples/web/web.yaml
  ./naru status${own}      ./naru node kill worker-1${own}      ./naru down${own}
`);
}

function printIpv6End(missing: string[]): void {
  process.stdout.write(`
IPv6 of pods and nodes ends at this machine, which does not forward it. If they are to get out by IPv6 too:

  sysctl -w ${missing.join(' ')}
`);
}

async function up(given: UpFlags): Promise<void> {
  if (given.ha !== 'no')
    throw new UsageError('flag --ha: several api-servers are not there yet; only "no" is possible');
  const { workers } = given;
  if (workers !== undefined && (!Number.isInteger(workers) || workers < 0 || workers > maxWorkers))
    throw new UsageError(`flag --workers: expected a number from 0 to ${maxWorkers}`);
  const replicas = given['dns-replicas'];
  if (replicas !== undefined && (!Number.isInteger(replicas) || replicas < 0 || replicas > maxDnsReplicas))
    throw new UsageError(`flag --dns-replicas: expected a number from 0 to ${maxDnsReplicas}`);
  const containerRuntime = checkContainerRuntime(given['container-runtime']);
  const cluster = chooseCluster(given);
  const kubeletConfig = given['kubelet-config'];
  if (kubeletConfig !== undefined) await readKubeletFields(kubeletConfig);
  const registryConfig = given['registry-config'];
  if (registryConfig !== undefined) readRegistries(registryConfig);
  const steps = new Steps();
  checkRoot();
  const unlock = lock(`${cluster.run}.lock`);
  try {
    await steps.run('checking the machine', () => preflight(cluster, containerRuntime));
    const wasUp = existsSync(cluster.services);
    saveCluster(cluster);
    // Every node that boots reads them, also after the next `up`.
    if (kubeletConfig !== undefined) copyFileSync(kubeletConfig, cluster.kubeletConfig);
    if (registryConfig !== undefined) copyFileSync(registryConfig, cluster.registryConfig);
    mkdirSync(cluster.run, { recursive: true, mode: 0o755 });
    const { api, booted, missing } = await startAll(cluster, { workers, containerRuntime }, steps).catch(
      async (error: Error) => {
        // A cluster that was not up before this command is not left half-up by it.
        if (!wasUp) await takeDown(cluster, { purge: false });
        throw error;
      },
    );
    const names = listNodes(cluster).map(({ name }) => name);
    await steps.run(`nodes ${readiness(cluster)}: ${names.join(', ') || 'none wanted'}`, () =>
      waitNodesReady(cluster, api, names, booted),
    );
    api.close();
    printNext(cluster, names.length, steps.elapsed);
    if (missing.length > 0) printIpv6End(missing);
  } finally {
    unlock();
  }
}

/** Boots the nodes that are not up; answers when (milliseconds since the epoch), by name. */
async function bootNodes(cluster: Cluster, mtu: number): Promise<Map<string, number>> {
  const down = listNodes(cluster).filter(({ name }) => !nodeProcess(cluster, name));
  const now = Date.now();
  await Promise.all(down.map(node => startNode(cluster, node, mtu)));
  return new Map(down.map(({ name }) => [name, now]));
}

interface WantedNodes {
  workers: number | undefined;
  containerRuntime: ContainerRuntime;
}

interface Started {
  api: KubeApi;
  booted: Map<string, number>;
  /** What keeps pods and nodes from getting out by IPv6, as `sysctl` would set it right. */
  missing: string[];
}

async function startAll(cluster: Cluster, { workers, containerRuntime }: WantedNodes, steps: Steps): Promise<Started> {
  await steps.run('certificates and configuration', async () => {
    const { made } = await prepareControlPlane(cluster);
    return made.length > 0 ? `${made.length} files made` : 'all there';
  });
  const uplinks = await findUplinks();
  await steps.run('network between the nodes', async () => {
    await setUpBridge(cluster, uplinks.mtu);
    await openOutside(cluster, uplinks);
    return cluster.settings.nodeCidr;
  });
  await steps.run('starting the control plane', () => startControlPlane(cluster));
  const existing = listNodes(cluster);
  for (let n = 1; listNodes(cluster).length < (workers ?? (existing.length > 0 ? 0 : defaultWorkers)); n++) {
    if (!listNodes(cluster).some(node => node.name === `worker-${n}`))
      createNode(cluster, `worker-${n}`, containerRuntime);
  }
  const booted = await steps.run('booting the nodes', () => bootNodes(cluster, uplinks.mtu));
  await steps.run('processes that were built anew', () => {
    const renewed = renewProcesses(cluster);
    return renewed.length > 0 ? `restarting ${renewed.join(', ')}` : 'none';
  });
  const api = KubeApi.asAdmin('127.0.0.1', cluster.ports.api, cluster.pki('admin'));
  const dns = cluster.dns.map(({ name }) => name);
  for (const name of ['nats', 'api-server', 'scheduler', 'controller-manager', ...dns])
    await steps.run(`${name} healthy`, () => waitHealthy(cluster, api, name));
  if (!cluster.settings.metricsServer) await withdrawMetrics(api);
  const missing = cluster.settings.ipFamily === 'ipv4' ? [] : missingIpv6Switches(uplinks.ipv6);
  return { api, booted, missing };
}

export const upCommand = command({
  name: 'up',
  usage: '[--workers N] [--cluster NAME]',
  summary: 'start the cluster, or what is missing of it',
  flags,
  run: ({ flags: given }) => up(given),
});
