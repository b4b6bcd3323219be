import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from '@naru/foundation';
import { requireCluster, type Cluster } from '../cluster';
import { clusterFlags, command } from '../command';
import { connectionOf, nodeCommand } from '../control-plane';
import { startService, stopService, writeService, type ServiceSpec } from '../keeper';
import { KubeApi, isNodeReady } from '../kube-api';
import { lock } from '../lock';
import { Steps } from '../steps';
import { waitFor } from '../wait';

const flags = {
  ...clusterFlags,
  nodes: { description: 'how many; 0 takes them all away', type: 'number', default: 100 },
  'pod-start-ms': { description: 'how long a pod takes to be Ready', type: 'number', default: 0 },
  'job-ms': { description: 'how long a pod of a Job works before it succeeds', type: 'number', default: 1_000 },
  'register-with-taints': {
    description: 'key=value:Effect; "" lets every pod onto them',
    type: 'string',
    default: 'naru.dev/hollow=true:NoSchedule',
  },
} as const;

type HollowFlags = Parameters<Parameters<typeof command<typeof flags>>[0]['run']>[0]['flags'];

const maxNodes = 10_000;
const name = 'hollow';
const selection = '/api/v1/nodes?labelSelector=naru.dev%2Fhollow';

function service(cluster: Cluster, given: HollowFlags): ServiceSpec {
  return {
    name,
    argv: nodeCommand(name, {
      // It is the kubelet of every one of its nodes: no identity of a single node would do.
      ...connectionOf(cluster, 'admin'),
      'health-address': `127.0.0.1:${cluster.ports.hollow}`,
      nodes: given.nodes,
      'pod-start-ms': given['pod-start-ms'],
      'job-ms': given['job-ms'],
      'register-with-taints': given['register-with-taints'],
    }),
    log: path.join(cluster.logs, `${name}.log`),
  };
}

async function countReady(api: KubeApi): Promise<{ all: number; ready: number }> {
  const nodes = await api.listNodes(selection).catch(() => []);
  return { all: nodes.length, ready: nodes.filter(node => isNodeReady(node)).length };
}

async function setNodes(cluster: Cluster, api: KubeApi, given: HollowFlags, steps: Steps): Promise<void> {
  const wanted = given.nodes;
  if (wanted === 0) {
    await steps.run('stopping the hollow kubelet', () => stopService(cluster.services, name));
    rmSync(path.join(cluster.services, name), { recursive: true, force: true });
    await steps.run('removing its nodes', () => api.request('DELETE', selection, { timeoutMs: 60_000 }).then(() => ''));
    return;
  }
  await steps.run('starting the hollow kubelet', async () => {
    if (writeService(cluster.services, service(cluster, given))) await stopService(cluster.services, name);
    startService(cluster.services, name);
  });
  await steps.run(`${wanted} hollow nodes Ready`, () =>
    waitFor(
      'hollow nodes to be Ready',
      async () => {
        const { all, ready } = await countReady(api);
        return all === wanted && ready === wanted;
      },
      { timeoutMs: 90_000 + wanted * 50, everyMs: 250 },
    ).catch((error: Error) => {
      throw new Error(`${error.message}; see ./naru logs ${name}`);
    }),
  );
}

export const hollowCommand = command({
  name: 'hollow',
  usage: '--nodes N',
  summary: 'nodes without containers, for tests of scale: they register and say that their pods run',
  flags,
  async run({ flags: given }) {
    if (!Number.isInteger(given.nodes) || given.nodes < 0 || given.nodes > maxNodes)
      throw new UsageError(`flag --nodes: expected a number from 0 to ${maxNodes}`);
    const cluster = requireCluster(given.cluster);
    if (!existsSync(cluster.services)) throw new Error(`cluster "${cluster.name}" is down: ./naru up`);
    const unlock = lock(`${cluster.run}.lock`);
    const api = KubeApi.asAdmin('127.0.0.1', cluster.ports.api, cluster.pki('admin'));
    try {
      await setNodes(cluster, api, given, new Steps());
    } finally {
      api.close();
      unlock();
    }
  },
});
