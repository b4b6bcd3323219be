import { UsageError, isReason } from '@naru/foundation';
import { checkContainerRuntime, type ContainerRuntime } from '../agent/container-runtime';
import { agentFlags } from '../agent/flags';
import { readiness, requireCluster, type Cluster } from '../cluster';
import { clusterFlags, command } from '../command';
import { KubeApi, isNodeUp } from '../kube-api';
import { lock } from '../lock';
import { findUplinks } from '../network/bridge';
import { deleteNodeData, killNode, nodeProcess, startNode, stopNode } from '../node/lifecycle';
import { createNode, nextNodeName, requireNode, type NodeRecord } from '../node/record';
import { checkRuntimeInstalled } from '../preflight';
import { Steps } from '../steps';
import { waitFor } from '../wait';

async function bootAndWait(cluster: Cluster, api: KubeApi, node: NodeRecord, steps: Steps): Promise<void> {
  const { mtu } = await findUplinks();
  const since = nodeProcess(cluster, node.name) ? 0 : Date.now();
  await steps.run(`booting ${node.name}`, () => startNode(cluster, node, mtu));
  await steps.run(`${node.name} ${readiness(cluster)}`, () =>
    waitFor(
      `${node.name} to be Ready`,
      async () => {
        const nodes = await api.listNodes().catch(() => []);
        return nodes.some(
          found => found.metadata.name === node.name && isNodeUp(found, cluster.settings.podNetwork, since),
        );
      },
      { timeoutMs: 120_000 },
    ).then(() => undefined),
  );
}

async function forget(api: KubeApi, path: string): Promise<void> {
  try {
    await api.request('DELETE', path);
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error;
  }
}

const flags = { ...clusterFlags, 'container-runtime': agentFlags['container-runtime'] } as const;

type Action = (
  cluster: Cluster,
  name: string | undefined,
  api: KubeApi,
  steps: Steps,
  containerRuntime: ContainerRuntime,
) => Promise<void>;

const actions: Record<string, Action> = {
  async add(cluster, name, api, steps, containerRuntime) {
    checkRuntimeInstalled(containerRuntime);
    const node = createNode(cluster, name ?? nextNodeName(cluster), containerRuntime);
    await bootAndWait(cluster, api, node, steps);
  },
  async start(cluster, name, api, steps) {
    const node = requireNode(cluster, name ?? '');
    if (nodeProcess(cluster, node.name)) process.stdout.write(`  ${node.name} is up already\n`);
    await bootAndWait(cluster, api, node, steps);
  },
  async stop(cluster, name, _api, steps) {
    const node = requireNode(cluster, name ?? '');
    await steps.run(`shutting ${node.name} down`, () => stopNode(cluster, node));
  },
  async kill(cluster, name, _api, steps) {
    const node = requireNode(cluster, name ?? '');
    await steps.run(`pulling the power cord of ${node.name}`, () => killNode(cluster, node));
  },
  async remove(cluster, name, api, steps) {
    const node = requireNode(cluster, name ?? '');
    await steps.run(`shutting ${node.name} down`, () => stopNode(cluster, node));
    await steps.run(`taking ${node.name} out of the cluster`, async () => {
      await forget(api, `/api/v1/nodes/${node.name}`);
      await forget(api, `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${node.name}`);
      deleteNodeData(cluster, node.name);
    });
  },
};

export const nodeCommand = command({
  name: 'node',
  usage: 'add [NAME] [--container-runtime containerd] | remove|stop|start|kill NAME',
  summary: 'change the nodes of a running cluster; kill is the power cord',
  flags,
  takes: 'any',
  async run({ flags: given, args: [verb = '', name, ...more] }) {
    const action = actions[verb];
    const containerRuntime = checkContainerRuntime(given['container-runtime']);
    if (!action || more.length > 0 || (!name && verb !== 'add'))
      throw new UsageError('usage: naru node add [NAME] | remove|stop|start|kill NAME');
    const cluster = requireCluster(given.cluster);
    const unlock = lock(`${cluster.run}.lock`);
    const api = KubeApi.asAdmin('127.0.0.1', cluster.ports.api, cluster.pki('admin'));
    try {
      await action(cluster, name, api, new Steps(), containerRuntime);
    } finally {
      api.close();
      unlock();
    }
  },
});
