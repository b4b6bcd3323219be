import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Cluster } from './cluster';
import { listServices, readService } from './keeper';
import { nodeProcesses } from './node/cgroup';
import { nodeGroup, nodeProcess } from './node/lifecycle';
import { listNodes, nodeRun } from './node/record';
import { isRunning, residentBytes, startTimeOf, ticksPerSecond, uptimeSeconds } from './process-id';

/** One row of `naru status`. */
export interface ProcessRow {
  name: string;
  /** Absent for the control plane. */
  node?: string;
  /** As the machine counts, also of processes in a node; absent while it does not run. */
  pid?: number;
  residentBytes: number;
  uptimeSeconds: number;
  restarts: number;
}

function row(name: string, node: string | undefined, pid: number | undefined, restarts: number): ProcessRow {
  const start = pid ? startTimeOf(pid) : undefined;
  return {
    name,
    ...(node ? { node } : {}),
    ...(pid && start ? { pid } : {}),
    residentBytes: pid ? residentBytes(pid) : 0,
    uptimeSeconds: start ? Math.max(0, uptimeSeconds() - start / ticksPerSecond) : 0,
    restarts,
  };
}

export function controlPlaneProcesses(cluster: Cluster): ProcessRow[] {
  return listServices(cluster.services)
    .filter(name => !name.startsWith('node.'))
    .map(name => {
      const { process: kept, restarts } = readService(path.join(cluster.services, name));
      return row(name, undefined, kept && isRunning(kept) ? kept.pid : undefined, restarts);
    });
}

/** The pid that a process has in its own, innermost pid namespace. */
function innerPid(pid: number): number | undefined {
  try {
    const match = /^NSpid:.*\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return match ? Number(match[1]) : undefined;
  } catch {
    return undefined;
  }
}

/** The processes of one node. Their keepers know pids of the node's namespace only, so those are translated. */
export function processesOfNode(cluster: Cluster, node: string): ProcessRow[] {
  const services = path.join(nodeRun(cluster, node), 'services');
  const byInner = new Map(nodeProcesses(nodeGroup(cluster, node)).map(pid => [innerPid(pid), pid]));
  return listServices(services).map(name => {
    const { process: kept, restarts } = readService(path.join(services, name));
    const pid = kept ? byInner.get(kept.pid) : undefined;
    return row(name, node, pid && kept && isRunning({ pid, start: kept.start }) ? pid : undefined, restarts);
  });
}

/** Resident memory of everything a node runs but its pods: our three processes, their keepers and its PID 1. */
export function nodeResidentBytes(cluster: Cluster, node: string): number {
  return nodeProcesses(nodeGroup(cluster, node)).reduce((sum, pid) => sum + residentBytes(pid), 0);
}

export function allProcesses(cluster: Cluster): ProcessRow[] {
  const ofNodes = listNodes(cluster).flatMap(({ name }) =>
    nodeProcess(cluster, name) ? processesOfNode(cluster, name) : [],
  );
  return [...controlPlaneProcesses(cluster), ...ofNodes];
}
