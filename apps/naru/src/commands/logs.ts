import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { requireCluster, type Cluster } from '../cluster';
import { clusterFlags, command } from '../command';
import { listNodes, nodeData } from '../node/record';

/** The log files of `PROCESS`, `NODE/PROCESS`, or of a process of every node. */
export function logFiles(cluster: Cluster, name: string): string[] {
  const [first = '', second] = name.split('/');
  const inNode = (node: string, process: string): string =>
    path.join(nodeData(cluster, node), 'logs', `${process}.log`);
  const candidates = second
    ? [inNode(first, second)]
    : [path.join(cluster.logs, `${first}.log`), ...listNodes(cluster).map(node => inNode(node.name, first))];
  const files = candidates.filter(existsSync);
  if (files.length === 0) throw new Error(`nothing has been logged by "${name}"; ./naru status lists the processes`);
  return files;
}

export const logsCommand = command({
  name: 'logs',
  usage: '[NODE/]PROCESS [-f] [--tail N]',
  summary: 'what a process has logged',
  flags: {
    ...clusterFlags,
    follow: { description: 'go on as it grows (-f)', type: 'boolean', default: false },
    tail: { description: 'how many lines of each file', type: 'number', default: 200 },
  },
  takes: 1,
  async run({ flags, args: [name = ''] }) {
    const files = logFiles(requireCluster(flags.cluster), name);
    // -F goes on when the file is truncated by rotation; --pid ends it with us, however we end.
    const follow = flags.follow ? ['-F', `--pid=${process.pid}`] : [];
    const argv = ['-n', String(flags.tail), ...follow, ...files];
    return new Promise<number>((resolve, reject) => {
      const tail = spawn('tail', argv, { stdio: ['ignore', 'inherit', 'inherit'] });
      tail.on('error', reject);
      tail.on('exit', code => resolve(code ?? 0));
    });
  },
});
