import { existsSync, realpathSync } from 'node:fs';
import path from 'node:path';
import { UsageError } from '@naru/foundation';
import type { images as runtimeImages } from '@naru/proto';
import { loadCluster } from '../cluster';
import { clusterFlags, command } from '../command';
import { nodeProcess } from '../node/lifecycle';
import { listNodes, nodeRun } from '../node/record';

/** Unpacking a large image onto a slow disk takes its time. */
const loadTimeoutMs = 300_000;

/** The sockets of the runtimes on this machine: of the cluster's nodes, or of the node that this machine (container) is. */
function runtimeSockets(clusterName: string): string[] {
  const cluster = loadCluster(clusterName);
  const nodes = cluster ? listNodes(cluster).filter(({ name }) => nodeProcess(cluster, name)) : [];
  const sockets = cluster ? nodes.map(({ name }) => path.join(nodeRun(cluster, name), 'runtime.sock')) : [];
  return [...sockets, '/run/naru/runtime.sock'].filter(existsSync);
}

async function load(socket: string, file: string): Promise<runtimeImages.LoadedImage[]> {
  // Loaded here, because no other command has a use for them and every command would pay for it.
  const { Metadata, credentials } = await import('@grpc/grpc-js');
  const { images } = await import('@naru/proto');
  const client = new images.ImagesClient(`unix:${socket}`, credentials.createInsecure());
  return new Promise((resolve, reject) => {
    client.load(
      { path: file, name: '' },
      new Metadata(),
      { deadline: Date.now() + loadTimeoutMs },
      (error, response) => {
        client.close();
        if (error) reject(new Error(`${file}: ${error.details || error.message}`));
        else resolve(response.images);
      },
    );
  });
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
    const [first, ...others] = runtimeSockets(flags.cluster);
    if (!first) throw new Error('no node is running on this machine: ./naru up');
    for (const file of files.map(name => realpathSync(name))) {
      // The store is shared: the first runtime does the work, the others find it done.
      const images = await load(first, file);
      await Promise.all(others.map(socket => load(socket, file)));
      for (const { id, references } of images) process.stdout.write(`loaded ${references.join(', ') || id}\n`);
    }
  },
});
