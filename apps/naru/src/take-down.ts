import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Cluster } from './cluster';
import { listServices, signal, stopService } from './keeper';
import { removeTree } from './remove-tree';
import { tearDownBridge } from './network/bridge';
import { hostInterface } from './network/names';
import { closeOutside, natTables } from './network/outside';
import { cgroupFolders, removeCgroup } from './node/cgroup';
import { stopNode } from './node/lifecycle';
import { listNodes } from './node/record';
import { startTimeOf } from './process-id';
import { Steps } from './steps';
import { waitFor } from './wait';

/** What is still there of a cluster that should be gone, one line each. */
export async function findLeftovers(cluster: Cluster): Promise<string[]> {
  const found = strayProcesses(cluster).map(pid => `process ${pid}`);
  for (const name of existsSync('/run/netns') ? readdirSync('/run/netns') : [])
    if (name === `naru-${cluster.name}` || name.startsWith(`naru-${cluster.name}.`))
      found.push(`network namespace ${name}`);
  if (existsSync(`/sys/class/net/${hostInterface(cluster)}`)) found.push(`interface ${hostInterface(cluster)}`);
  found.push(...(await natTables(cluster)).map(table => `nft table ${table}`));
  found.push(...cgroupFolders(`naru-${cluster.name}`).map(folder => `cgroup ${folder}`));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map(line => line.split(' ')[4] ?? '');
  const inside = (folder: string): boolean =>
    [cluster.run, cluster.data].some(root => folder === root || folder.startsWith(`${root}/`));
  found.push(...mounts.filter(inside).map(folder => `mount ${folder}`));
  if (existsSync(cluster.run)) found.push(`folder ${cluster.run}`);
  return found;
}

/** Programs of ours; others that merely name a path of the cluster (an editor, tail) are none of our business. */
const ourPrograms = /\/dist\/apps\/[a-z-]+\/main\.js|nats-server|\/bin\/(keep|watch|node-boot|node-init|agent)(\0|$)/;

/** Processes of this cluster that run although nothing in its run folder says so: somebody has deleted that. */
function strayProcesses(cluster: Cluster): number[] {
  const paths = [`${cluster.run}/`, `${cluster.data}/`, `${cluster.run}\0`];
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(Number)
    .filter(pid => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return paths.some(part => line.includes(part)) && ourPrograms.test(line);
      } catch {
        return false;
      }
    });
}

/**
 * Takes the cluster down in the reverse order of its start and leaves nothing on the machine but its data (without
 * `purge`). Each part is done whether or not it is there, so it also clears up after a crash.
 */
export async function takeDown(cluster: Cluster, { purge }: { purge: boolean }, steps = new Steps()): Promise<void> {
  const nodes = listNodes(cluster);
  // First, or it would start again what is being stopped.
  await stopService(cluster.services, 'watch');
  await steps.run(`stopping ${nodes.length} nodes`, () =>
    Promise.all(nodes.map(node => stopNode(cluster, node))).then(() => undefined),
  );
  await steps.run('stopping the control plane', async () => {
    const clients = listServices(cluster.services).filter(name => !['api-server', 'nats'].includes(name));
    await Promise.all(clients.map(name => stopService(cluster.services, name)));
    await stopService(cluster.services, 'api-server');
    await stopService(cluster.services, 'nats');
    for (const pid of strayProcesses(cluster)) signal({ pid, start: startTimeOf(pid) ?? 0 }, 'SIGKILL');
  });
  await steps.run('removing network, rules and cgroups', async () => {
    await removeCgroup(`naru-${cluster.name}`);
    await closeOutside(cluster);
    await tearDownBridge(cluster);
    removeTree(cluster.run);
  });
  if (purge) {
    await steps.run('dropping the data', () => {
      removeTree(cluster.data);
      const parent = path.dirname(cluster.data);
      if (existsSync(parent) && readdirSync(parent).length === 0) rmSync(parent, { recursive: true });
    });
  }
  await steps.run('looking for anything left behind', async () => {
    let left: string[] = [];
    // A process that was killed is there until it has had its turn once more.
    await waitFor(
      'the last things to go',
      async () => {
        left = await findLeftovers(cluster);
        return left.length === 0;
      },
      { timeoutMs: 10_000 },
    ).catch((error: Error) => {
      throw left.length > 0 ? new Error(`still there: ${left.join('; ')}`) : error;
    });
    return 'nothing';
  });
}
