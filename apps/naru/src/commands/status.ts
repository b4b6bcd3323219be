import { requireCluster, type Cluster } from '../cluster';
import { clusterFlags, command } from '../command';
import { controlPlaneHealth, nodeHealth, type Health } from '../health';
import { KubeApi, isNodeReady } from '../kube-api';
import { nodeProcess } from '../node/lifecycle';
import { listNodes } from '../node/record';
import { allProcesses, nodeResidentBytes, type ProcessRow } from '../processes';
import { formatTable } from '../table';

export interface StatusReport {
  cluster: string;
  healthy: boolean;
  processes: (ProcessRow & { health: Health })[];
  nodes: { name: string; address: string; state: string; residentBytes: number }[];
}

/** The control plane's processes that there must be, whatever the run folder says. */
const expected = (cluster: Cluster): string[] => [
  'nats',
  'api-server',
  'scheduler',
  'controller-manager',
  ...cluster.dns.map(({ name }) => name),
  ...(cluster.settings.metricsServer ? ['metrics-server'] : []),
];

async function nodeStates(api: KubeApi): Promise<Map<string, string>> {
  const nodes = await api.listNodes().catch(() => []);
  return new Map(nodes.map(node => [node.metadata.name, isNodeReady(node) ? 'Ready' : 'NotReady']));
}

export async function report(cluster: Cluster): Promise<StatusReport> {
  const api = KubeApi.asAdmin('127.0.0.1', cluster.ports.api, cluster.pki('admin'));
  const running = listNodes(cluster).filter(({ name }) => nodeProcess(cluster, name));
  const [ofControlPlane, states, ...ofNodes] = await Promise.all([
    controlPlaneHealth(cluster, api),
    nodeStates(api),
    ...running.map(async ({ name }) => [name, await nodeHealth(cluster, name)] as const),
  ]);
  api.close();
  const inNodes = new Map(ofNodes);
  const health = ({ name, node, pid }: ProcessRow): Health => {
    if (!pid) return 'not running';
    return (node ? inNodes.get(node)?.[name] : ofControlPlane[name]) ?? 'ok';
  };
  const found = allProcesses(cluster);
  const absent = expected(cluster)
    .filter(name => !found.some(row => row.name === name))
    .map(name => ({ name, residentBytes: 0, uptimeSeconds: 0, restarts: 0 }));
  const processes = [...found, ...absent].map(row => ({ ...row, health: health(row) }));
  const nodes = listNodes(cluster).map(({ name, address }) => ({
    name,
    address,
    state: nodeProcess(cluster, name) ? (states.get(name) ?? 'not registered') : 'stopped',
    residentBytes: nodeResidentBytes(cluster, name),
  }));
  const healthy = processes.every(row => row.health === 'ok') && nodes.every(({ state }) => state === 'Ready');
  return { cluster: cluster.name, healthy, processes, nodes };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}

function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 120) return `${whole}s`;
  if (whole < 7_200) return `${Math.floor(whole / 60)}m`;
  return `${Math.floor(whole / 3_600)}h${Math.floor((whole % 3_600) / 60)}m`;
}

function print({ cluster, healthy, processes, nodes }: StatusReport): void {
  const rows = processes.map(row => [
    row.node ? `${row.node}/${row.name}` : row.name,
    row.pid ? String(row.pid) : '-',
    megabytes(row.residentBytes),
    duration(row.uptimeSeconds),
    String(row.restarts),
    row.health,
  ]);
  process.stdout.write(formatTable([['PROCESS', 'PID', 'MEMORY', 'UP', 'RESTARTS', 'HEALTH'], ...rows]));
  const nodeRows = nodes.map(node => [node.name, node.address, node.state, megabytes(node.residentBytes)]);
  process.stdout.write(`\n${formatTable([['NODE', 'ADDRESS', 'STATE', 'MEMORY'], ...nodeRows])}`);
  const isDown = processes.every(({ pid }) => !pid);
  const summary = isDown ? 'it is down; naru up starts it' : 'something is wrong (see above)';
  process.stdout.write(`\nCluster "${cluster}": ${healthy ? 'all is well' : summary}\n`);
}

export const statusCommand = command({
  name: 'status',
  usage: '[--output json]',
  summary: 'every process with pid, memory and health; exit code 0 only when all is well',
  flags: { ...clusterFlags, output: { description: 'text or json', type: 'string', default: 'text' } },
  async run({ flags }) {
    const result = await report(requireCluster(flags.cluster));
    if (flags.output === 'json') process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    else print(result);
    return result.healthy ? 0 : 1;
  },
});
