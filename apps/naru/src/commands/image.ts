import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from '@naru/foundation';
import { loadCluster } from '../cluster';
import { clusterFlags, command } from '../command';
import { loadIntoContainerd } from '../images/load-into-containerd';
import { loadIntoRuntime } from '../images/load-into-runtime';
import { nodeProcess } from '../node/lifecycle';
import { listNodes, nodeRun } from '../node/record';

/** Where the sockets of the runtimes on this machine are: of the cluster's nodes, or of the node that this machine (container) is. */
function runFolders(clusterName: string): string[] {
  const cluster = loadCluster(clusterName);
  const nodes = cluster ? listNodes(cluster).filter(({ name }) => nodeProcess(cluster, name)) : [];
  const folders = cluster ? nodes.map(({ name }) => nodeRun(cluster, name)) : [];
  return [...folders, '/run/naru'];
}

export const imageCommand = command({
  name: 'image',
  usage: 'load FILE...',
  summary: 'put images (docker save, or an OCI layout) into the nodes of this machine',
  flags: clusterFlags,
  takes: 'any',
  async run({ flags, args: [verb, ...files] }) {
    if (verb !== 'load' || files.length === 0) throw new UsageError('usage: naru image load FILE...');
    const missing = files.find(file => !existsSync(file));
    if (missing) throw new Error(`${missing}: no such file`);
    const folders = runFolders(flags.cluster);
    const socketsOf = (name: string): string[] => folders.map(folder => path.join(folder, name)).filter(existsSync);
    const containerds = socketsOf('containerd.sock');
    // Beside a containerd it leads there.
    const [first, ...others] = socketsOf('runtime.sock').filter(
      socket => !containerds.some(other => path.dirname(other) === path.dirname(socket)),
    );
    if (!first && containerds.length === 0) throw new Error('no node is running on this machine: ./naru up');
    for (const file of files.map(name => realpathSync(name))) {
      const names = new Set<string>();
      if (first) {
        // The store is shared: the first runtime does the work, the others find it done.
        for (const name of await loadIntoRuntime(first, file)) names.add(name);
        await Promise.all(others.map(socket => loadIntoRuntime(socket, file)));
      }
      for (const loaded of await Promise.all(containerds.map(socket => loadIntoContainerd(socket, file))))
        for (const name of loaded) names.add(name);
      for (const name of names) process.stdout.write(`loaded ${name}\n`);
    }
  },
});
