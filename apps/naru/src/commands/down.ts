import { existsSync } from 'node:fs';
import { Cluster, checkName, defaultSettings, loadCluster } from '../cluster';
import { clusterFlags, command } from '../command';
import { lock } from '../lock';
import { Steps } from '../steps';
import { findLeftovers, takeDown } from '../take-down';

export const downCommand = command({
  name: 'down',
  usage: '[--purge]',
  summary: 'stop the cluster; its data stays unless --purge is given',
  flags: {
    ...clusterFlags,
    purge: { description: 'drop the data too', type: 'boolean', default: false },
  },
  async run({ flags }) {
    const name = checkName('cluster name', flags.cluster);
    // Without its settings the names of what it leaves on the machine are still known.
    const cluster = loadCluster(name) ?? new Cluster({ ...defaultSettings, name });
    const unlock = lock(`${cluster.run}.lock`);
    try {
      const isThere = existsSync(cluster.run) || (flags.purge && existsSync(cluster.data));
      if (!isThere && (await findLeftovers(cluster)).length === 0) {
        process.stdout.write(`Cluster "${name}" is not up.\n`);
        return;
      }
      const steps = new Steps();
      await takeDown(cluster, { purge: flags.purge }, steps);
      const rest = flags.purge ? 'and its data is gone' : `its data is in ${cluster.data}`;
      process.stdout.write(`\nCluster "${name}" is down after ${steps.elapsed}; ${rest}.\n`);
    } finally {
      unlock();
    }
  },
});
