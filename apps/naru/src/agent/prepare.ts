import { mkdirSync, readFileSync } from 'node:fs';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect, isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isReason } from '@naru/foundation';
import { writeJson } from '../cluster';
import type { ClusterInfo } from '../cluster-info';
import { writeService } from '../keeper';
import { checkContainerRuntime } from './container-runtime';
import type { AgentFlags } from './flags';
import { join, joinedBefore, type JoinOptions } from './join';
import { kubeletConfiguration, readKubeletFields } from './kubelet-configuration';
import { readRegistries, writeContainerdHosts } from './registries';
import { containerdDir, kubeletConfigFile, nodeServices } from './services';

/** Remembered in the run folder for `agent-leave`. */
export interface AgentRecord {
  server: string;
  nodeName: string;
  pki: string;
}

const retryMs = 250;
const sayEveryMs = 5_000;

function readToken(flags: AgentFlags): string {
  if (flags.token) return flags.token;
  const file = flags['token-file'];
  if (!file) throw new Error('flag --token or --token-file is required: see `naru token`');
  return readFileSync(file, 'utf8').trim();
}

/** The address of this machine on the way to the server. Waits for the server to accept connections. */
function findOwnAddress(server: URL): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: server.hostname, port: Number(server.port || 443), timeout: 3_000 });
    socket.on('timeout', () => socket.destroy(new Error('no answer')));
    socket.on('error', reject);
    socket.on('connect', () => {
      const { localAddress = '' } = socket;
      socket.destroy();
      resolve(localAddress.replace(/^::ffff:/, ''));
    });
  });
}

/** The address of this machine from which packets to `host` would go by a family; nothing is sent. */
async function findRouteAddress(host: string, family: 4 | 6): Promise<string> {
  const { address } = await lookup(host, { family });
  const socket = createSocket(`udp${family}`);
  try {
    const connected = once(socket, 'connect');
    socket.connect(1, address);
    await connected;
    return socket.address().address;
  } finally {
    socket.close();
  }
}

async function findOwnAddresses(server: URL, dualStack: boolean): Promise<string[]> {
  const first = await findOwnAddress(server);
  return dualStack ? [first, await findRouteAddress(server.hostname, isIPv6(first) ? 4 : 6)] : [first];
}

/** Tries until it works. What waiting cannot mend (a wrong token, a wrong cluster) ends it at once. */
async function persistently<T>(what: string, attempt: () => Promise<T>): Promise<T> {
  for (let said = 0; ;) {
    try {
      return await attempt();
    } catch (error) {
      if (isReason(error, 'Unauthorized', 'Forbidden', 'BadRequest', 'Invalid')) throw error;
      if (Date.now() - said > sayEveryMs) {
        said = Date.now();
        process.stderr.write(`naru agent: ${what}: ${(error as Error).message}; trying again\n`);
      }
      await sleep(retryMs);
    }
  }
}

async function joinPersistently(options: JoinOptions): Promise<ClusterInfo> {
  return joinedBefore(options) ?? persistently('joining', () => join(options));
}

/** Joins the cluster if need be, and writes down how the node's processes are started. Idempotent. */
export async function prepareAgent(flags: AgentFlags): Promise<void> {
  const containerRuntime = checkContainerRuntime(flags['container-runtime']);
  const registryConfig = flags['registry-config'];
  const registries = registryConfig === undefined ? {} : readRegistries(registryConfig);
  const server = new URL(flags.server);
  const nodeName = flags['node-name'] ?? hostname();
  const nodeIps =
    flags['node-ip'] ??
    (await persistently('looking for the server', () => findOwnAddresses(server, flags['dual-stack'])));
  const dataDir = flags['data-dir'];
  const runDir = flags['run-dir'];
  const folder = path.join(dataDir, 'pki');
  const info = await joinPersistently({ server, token: readToken(flags), nodeName, nodeIps, folder });
  const imageStore = flags['image-store'] ?? path.join(dataDir, 'images');
  const kubeletDir = flags['kubelet-dir'] ?? path.join(dataDir, 'kubelet');
  const folders = ['runtime', 'manifests', 'cni/net.d'].map(name => path.join(dataDir, name));
  for (const wanted of [
    ...folders,
    kubeletDir,
    imageStore,
    path.join(runDir, 'runtime'),
    path.join(runDir, 'services'),
  ])
    mkdirSync(wanted, { recursive: true });
  const specs = nodeServices({
    info: {
      ...info,
      proxyMode: flags['proxy-mode'] ?? info.proxyMode,
      podNetwork: flags['pod-network'] ?? info.podNetwork,
    },
    nodeName,
    nodeIps,
    nodeLabels: flags['node-labels'] ?? [],
    dataDir,
    runDir,
    logDir: flags['log-dir'] === '-' ? undefined : flags['log-dir'],
    imageStore,
    kubeletDir,
    containerRuntime,
    registryConfig,
    runtimeEndpoint: flags['container-runtime-endpoint'],
  });
  const wants = flags['kubelet-config'] === undefined ? {} : await readKubeletFields(flags['kubelet-config']);
  const facts = { info, nodeIps, manifests: path.join(dataDir, 'manifests') };
  writeJson(kubeletConfigFile(dataDir), kubeletConfiguration(facts, wants));
  if (containerRuntime === 'containerd') writeContainerdHosts(path.join(containerdDir(dataDir), 'certs.d'), registries);
  for (const spec of specs) writeService(path.join(runDir, 'services'), spec);
  const record: AgentRecord = { server: flags.server, nodeName, pki: folder };
  writeJson(path.join(runDir, 'agent.json'), record);
}
