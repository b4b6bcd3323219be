import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Cluster } from '../cluster';
import { joinToken } from '../token';
import { quote, readService, script, signal, startService, stopService, writeService } from '../keeper';
import { connectNode, disconnectNode, unplugNode } from '../network/bridge';
import { nodeNamespace } from '../network/names';
import { isRunning, type ProcessId } from '../process-id';
import { removeCgroup } from './cgroup';
import { nodeData, nodeRun, nodeService, type NodeRecord } from './record';
import { nodeResolvConf } from './resolv-conf';

export function nodeGroup(cluster: Cluster, name: string): string {
  return `naru-${cluster.name}/${name}`;
}

/** The process whose end ends the node (`unshare`), when the node is up. */
export function nodeProcess(cluster: Cluster, name: string): ProcessId | undefined {
  const { process: kept } = readService(path.join(cluster.services, nodeService(name)));
  return kept && isRunning(kept) ? kept : undefined;
}

/** PID 1 of the node, as the machine counts: the only child of `unshare`. */
function initOf({ pid }: ProcessId): number | undefined {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
  return Number(children[0]) || undefined;
}

function agentFlags(cluster: Cluster, { name, address, containerRuntime }: NodeRecord): string[] {
  const data = nodeData(cluster, name);
  return [
    `--server=https://${cluster.hostAddress}:${cluster.ports.api}`,
    '--token-file=/run/naru/token',
    `--node-name=${name}`,
    `--node-ip=${cluster.nodeIps(address).join(',')}`,
    `--data-dir=${data}`,
    // node-init makes the node's own folder appear there.
    '--kubelet-dir=/var/lib/kubelet',
    `--image-store=${cluster.images}`,
    `--log-dir=${path.join(data, 'logs')}`,
    ...(containerRuntime ? [`--container-runtime=${containerRuntime}`] : []),
    ...(existsSync(cluster.registryConfig) ? [`--registry-config=${cluster.registryConfig}`] : []),
    ...(existsSync(cluster.kubeletConfig) ? [`--kubelet-config=${cluster.kubeletConfig}`] : []),
  ];
}

/** Boots a node: its network namespace, then its processes under a keeper. Does nothing when it is up. */
export async function startNode(cluster: Cluster, node: NodeRecord, mtu: number): Promise<void> {
  const { name, address } = node;
  if (nodeProcess(cluster, name)) return;
  // A keeper that is just waiting to try again would boot into the old namespace.
  await stopService(cluster.services, nodeService(name));
  await removeCgroup(nodeGroup(cluster, name));
  await connectNode(cluster, name, address, mtu);
  const run = nodeRun(cluster, name);
  // As with a machine, nothing in /run survives a boot.
  rmSync(run, { recursive: true, force: true });
  mkdirSync(run, { recursive: true, mode: 0o755 });
  writeFileSync(path.join(run, 'token'), `${joinToken(cluster)}\n`, { mode: 0o600 });
  chmodSync(path.join(run, 'token'), 0o600);
  const resolv = nodeResolvConf(readFileSync('/etc/resolv.conf', 'utf8'), '/run/systemd/resolve/resolv.conf');
  if (resolv !== undefined) writeFileSync(path.join(run, 'resolv.conf'), resolv);
  mkdirSync(cluster.images, { recursive: true });
  writeService(cluster.services, {
    name: nodeService(name),
    argv: [script('node-boot')],
    log: path.join(nodeData(cluster, name), 'logs', 'boot.log'),
    environment: {
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      NARU_CLUSTER: cluster.name,
      NARU_NODE: name,
      NARU_NETNS: nodeNamespace(cluster, name),
      NARU_NODE_RUN: run,
      NARU_NODE_DATA: nodeData(cluster, name),
      NARU_AGENT_ARGS: agentFlags(cluster, node).map(quote).join(' '),
    },
  });
  startService(cluster.services, nodeService(name));
}

/** Takes down what only a running node needs. */
async function clear(cluster: Cluster, { name, address }: NodeRecord): Promise<void> {
  await removeCgroup(nodeGroup(cluster, name));
  await disconnectNode(cluster, name, address);
  rmSync(nodeRun(cluster, name), { recursive: true, force: true });
  rmSync(path.join(cluster.services, nodeService(name)), { recursive: true, force: true });
}

/** Shuts a node down in order: its processes get TERM and end before its containers do. Its data stays. */
export async function stopNode(cluster: Cluster, node: NodeRecord): Promise<void> {
  await stopService(cluster.services, nodeService(node.name), kept => {
    const init = initOf(kept);
    // Not `unshare` itself: its end would be the end of everything inside at once.
    if (init) process.kill(init, 'SIGTERM');
    else signal(kept, 'SIGKILL');
  });
  await clear(cluster, node);
}

/** Pulls the power cord: nothing in the node gets to say or do anything more. */
export async function killNode(cluster: Cluster, node: NodeRecord): Promise<void> {
  await unplugNode(cluster, node.address);
  await stopService(cluster.services, nodeService(node.name), kept => {
    const init = initOf(kept);
    if (init) process.kill(init, 'SIGKILL');
    signal(kept, 'SIGKILL');
  });
  await clear(cluster, node);
}

export function deleteNodeData(cluster: Cluster, name: string): void {
  const folder = nodeData(cluster, name);
  if (existsSync(folder)) rmSync(folder, { recursive: true, force: true });
}
