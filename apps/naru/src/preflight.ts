import { existsSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import path from 'node:path';
import { overlaps } from './address';
import type { ContainerRuntime } from './agent/container-runtime';
import type { Cluster } from './cluster';
import { execute } from './execute';
import { readService } from './keeper';
import { hostInterface } from './network/names';
import { isRunning } from './process-id';

/** A condition of the machine that keeps the cluster from being started; the message says what to do. */
export class PreflightError extends Error {}

const binaries = [
  'nats-server',
  'ip',
  'nft',
  'iptables',
  'nsenter',
  'unshare',
  'setsid',
  'flock',
  'catatonit',
  'conmon',
];
const searchPath = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

type Exists = (file: string) => boolean;

function isFound(name: string, exists: Exists = existsSync): boolean {
  return searchPath.some(folder => exists(path.join(folder, name)));
}

/** The binaries that are on no usual path; of runc and crun one is enough. */
export function missingBinaries(exists: Exists = existsSync): string[] {
  const found = (name: string): boolean => isFound(name, exists);
  const missing = binaries.filter(name => !found(name));
  if (!found('crun') && !found('runc')) missing.push('crun or runc');
  if (!exists('/usr/lib/cni/bridge') && !exists('/opt/cni/bin/bridge')) missing.push('the CNI plugins');
  return missing;
}

/** Throws PreflightError when a node is to have a runtime that this machine lacks. */
export function checkRuntimeInstalled(runtime: ContainerRuntime): void {
  const missing = runtime === 'containerd' ? ['containerd', 'ctr', 'runc'].filter(name => !isFound(name)) : [];
  if (missing.length > 0)
    throw new PreflightError(
      `not installed: ${missing.join(', ')}, for nodes with containerd. ./naru up --container-runtime containerd installs them where there is apt`,
    );
}

const minimumFreeBytes = 512 * 1024 * 1024;

function checkDisk(folder: string): void {
  let existing = folder;
  while (!existsSync(existing)) existing = path.dirname(existing);
  const { bavail, bsize, ffree, files } = statfsSync(existing);
  const free = bavail * bsize;
  if (free < minimumFreeBytes)
    throw new PreflightError(
      `only ${Math.floor(free / 1024 / 1024)} MB are free at ${existing}; a cluster needs at least 512 MB: make room and try again`,
    );
  if (files > 0 && ffree < 1_000)
    throw new PreflightError(`the file system of ${existing} has only ${ffree} inodes left: make room and try again`);
}

function isPortFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)));
  });
}

async function holderOf(port: number): Promise<string> {
  const text = await execute(['ss', '-Hltnp', `sport = :${port}`]).catch(() => '');
  const match = /users:\(\("([^"]+)",pid=(\d+)/.exec(text);
  return match ? ` by ${match[1]} (pid ${match[2]})` : '';
}

/** Ports of processes that run already are ours; the others must be free. */
async function checkPorts(cluster: Cluster): Promise<void> {
  const { ports } = cluster;
  const owners: [string, number[]][] = [
    ['nats', [ports.nats]],
    ['api-server', [ports.api, ports.grpc]],
    ['scheduler', [ports.scheduler]],
    ['controller-manager', [ports.controllerManager]],
    ...cluster.dns.map(({ name, port, metricsPort }): [string, number[]] => [name, [port, metricsPort]]),
  ];
  for (const [service, wanted] of owners) {
    const { process: kept } = readService(path.join(cluster.services, service));
    if (kept && isRunning(kept)) continue;
    for (const port of wanted) {
      if (await isPortFree(port)) continue;
      throw new PreflightError(
        `port ${port} of the ${service} is taken${await holderOf(port)}: end that process, or give this cluster other ports with --port-offset N`,
      );
    }
  }
}

function checkNetwork(cluster: Cluster): void {
  const { nodeCidr, ipFamily } = cluster.settings;
  if (ipFamily !== 'ipv4' && !existsSync('/proc/sys/net/ipv6'))
    throw new PreflightError('this kernel has no IPv6: only --ip-family=ipv4 is possible');
  for (const [name, addresses] of Object.entries(networkInterfaces()))
    for (const { family, address } of addresses ?? [])
      if (family === 'IPv4' && name !== hostInterface(cluster) && overlaps(nodeCidr, `${address}/32`))
        throw new PreflightError(
          `the node network ${nodeCidr} contains ${address} of interface ${name}: choose another with --node-cidr`,
        );
}

export function checkRoot(): void {
  if (process.getuid?.() !== 0)
    throw new PreflightError('root is needed: nodes are network namespaces. Without root use Docker Compose (README)');
}

/** Everything that can be known before anything is started. Throws PreflightError. */
export async function preflight(cluster: Cluster, runtime: ContainerRuntime): Promise<void> {
  const missing = missingBinaries();
  if (missing.length > 0)
    throw new PreflightError(`not installed: ${missing.join(', ')}. ./naru up installs them where there is apt`);
  checkRuntimeInstalled(runtime);
  checkDisk(cluster.data);
  checkNetwork(cluster);
  await checkPorts(cluster);
}
