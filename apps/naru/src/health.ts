import { existsSync } from 'node:fs';
import http from 'node:http';
import { connect } from 'node:net';
import path from 'node:path';
import type { Cluster } from './cluster';
import { execute } from './execute';
import type { KubeApi } from './kube-api';
import { nodeNamespace } from './network/names';

/** "ok", or why not. */
export type Health = string;

/** Asks a process' /readyz over plain HTTP. */
export function askReadyz(host: string, port: number): Promise<Health> {
  return new Promise(resolve => {
    const request = http.get({ host, port, path: '/readyz', timeout: 2_000 }, response => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('error', error => resolve(error.message));
      response.on('end', () => {
        const failed = text.split('\n').find(line => line.startsWith('[-]'));
        resolve(response.statusCode === 200 ? 'ok' : (failed ?? `HTTP ${response.statusCode}`));
      });
    });
    request.on('timeout', () => request.destroy(new Error('no answer within 2 s')));
    request.on('error', error => resolve(error.message));
  });
}

/** Whether something accepts connections. */
export function askPort(host: string, port: number): Promise<Health> {
  return new Promise(resolve => {
    const socket = connect({ host, port, timeout: 2_000 });
    socket.on('connect', () => resolve('ok'));
    socket.on('timeout', () => socket.destroy(new Error('no answer within 2 s')));
    socket.on('error', error => resolve(error.message));
    socket.on('connect', () => socket.destroy());
  });
}

export async function controlPlaneHealth(cluster: Cluster, api: KubeApi): Promise<Record<string, Health>> {
  const { ports, hostAddress } = cluster;
  const ready = api.request('GET', '/readyz', { timeoutMs: 2_000 }).then(
    () => 'ok',
    (error: Error) => error.message,
  );
  const [nats, apiServer, scheduler, controllerManager, ...dns] = await Promise.all([
    askPort(hostAddress, ports.nats),
    ready,
    askReadyz('127.0.0.1', ports.scheduler),
    askReadyz('127.0.0.1', ports.controllerManager),
    ...cluster.dns.map(({ metricsPort }) => askReadyz(hostAddress, metricsPort)),
  ]);
  const optional: Record<string, number> = { hollow: ports.hollow, 'metrics-server': ports.metricsHealth };
  const present = Object.entries(optional).filter(([name]) => existsSync(path.join(cluster.services, name)));
  const asked = present.map(async ([name, port]) => [name, await askReadyz('127.0.0.1', port)] as const);
  return {
    nats,
    'api-server': apiServer,
    scheduler,
    'controller-manager': controllerManager,
    ...Object.fromEntries(await Promise.all(asked)),
    ...Object.fromEntries(cluster.dns.map(({ name }, i) => [name, dns[i] as Health])),
  };
}

/** Where the processes of a node serve their health, on the node's own loopback. */
export const nodeHealthPorts: Record<string, number> = { kubelet: 10248, 'kube-proxy': 10256, runtime: 10261 };

/** Health of a node's processes, asked from inside its network namespace by a short-lived copy of this program. */
export async function nodeHealth(cluster: Cluster, node: string): Promise<Record<string, Health>> {
  const namespace = `--net=/run/netns/${nodeNamespace(cluster, node)}`;
  try {
    const text = await execute(['nsenter', namespace, process.execPath, process.argv[1] ?? '', 'probe-node']);
    return JSON.parse(text) as Record<string, Health>;
  } catch (error) {
    return Object.fromEntries(Object.keys(nodeHealthPorts).map(name => [name, (error as Error).message]));
  }
}
