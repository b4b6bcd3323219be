import { existsSync, statSync } from 'node:fs';
import type { Cluster } from './cluster';
import { bundle } from './control-plane';
import { signal } from './keeper';
import { startTimeOf, ticksPerSecond, uptimeSeconds } from './process-id';
import { allProcesses } from './processes';

/**
 * Ends the processes whose bundle is newer than they are; their keepers start the new one. Containers go on running, as
 * with any restart. Answers their names.
 */
export function renewProcesses(cluster: Cluster): string[] {
  const bootMs = Date.now() - uptimeSeconds() * 1000;
  const renewed: string[] = [];
  for (const { name, node, pid } of allProcesses(cluster)) {
    const file = bundle(name.replace(/^dns-\d+$/, 'dns'));
    const start = pid ? startTimeOf(pid) : undefined;
    if (!pid || !start || !existsSync(file)) continue;
    const startedMs = bootMs + (start / ticksPerSecond) * 1000;
    // Built within the same moment: the process has read the new file, or its restart costs little.
    if (statSync(file).mtimeMs <= startedMs) continue;
    signal({ pid, start }, 'SIGTERM');
    renewed.push(node ? `${node}/${name}` : name);
  }
  return renewed;
}
