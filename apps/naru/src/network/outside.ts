import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Cluster } from '../cluster';
import { execute, succeeds } from '../execute';
import { hostInterface, tableName } from './names';

/** The rules that let nodes reach the outside through this machine: a table of our own, removed as a whole. */
export function natRules(cluster: Cluster): string {
  const { nodeCidr } = cluster.settings;
  const table = `ip ${tableName(cluster)}`;
  const cable = hostInterface(cluster);
  return `table ${table}
delete table ${table}
table ${table} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${nodeCidr} oifname != "${cable}" masquerade
  }
}
`;
}

/** Previous values of switches that some cluster has turned on, one file an interface. */
const recordFolder = '/run/naru.forwarding';

function switchOf(name: string): string {
  return `/proc/sys/net/ipv4/conf/${name}/forwarding`;
}

function uplinksFile(run: string): string {
  return path.join(run, 'uplinks');
}

function readUplinks(run: string): string[] {
  const file = uplinksFile(run);
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
}

/**
 * Forwarding is switched on for the two ends of the way out only, never for the whole machine. What an uplink had before
 * is written down once, whichever cluster comes first, and put back by the last one that goes.
 */
function enableForwarding(cluster: Cluster, uplinks: string[]): void {
  writeFileSync(switchOf(hostInterface(cluster)), '1');
  mkdirSync(recordFolder, { recursive: true });
  for (const uplink of uplinks) {
    const before = readFileSync(switchOf(uplink), 'utf8').trim();
    const record = path.join(recordFolder, uplink);
    if (before === '0' && !existsSync(record)) writeFileSync(record, before);
    if (before === '0') writeFileSync(switchOf(uplink), '1');
  }
  writeFileSync(uplinksFile(cluster.run), uplinks.map(uplink => `${uplink}\n`).join(''));
}

function restoreForwarding(cluster: Cluster): void {
  const uplinks = readUplinks(cluster.run);
  rmSync(uplinksFile(cluster.run), { force: true });
  const others = readdirSync('/run').filter(name => name.startsWith('naru-'));
  const stillUsed = new Set(others.flatMap(name => readUplinks(path.join('/run', name))));
  for (const uplink of uplinks) {
    const record = path.join(recordFolder, uplink);
    if (stillUsed.has(uplink) || !existsSync(record)) continue;
    if (existsSync(switchOf(uplink))) writeFileSync(switchOf(uplink), readFileSync(record));
    rmSync(record);
  }
  if (existsSync(recordFolder) && readdirSync(recordFolder).length === 0) rmSync(recordFolder, { recursive: true });
}

/** Rules for a machine whose forwarding is closed by default, as Docker's set-up leaves it. */
function acceptRules(cluster: Cluster): string[][] {
  const cable = hostInterface(cluster);
  return [
    ['-i', cable, '-j', 'ACCEPT'],
    ['-o', cable, '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT'],
  ];
}

/** The chain in which accepting must happen because another chain would drop; undefined when nothing drops. */
async function closedChain(): Promise<string | undefined> {
  const forward = await execute(['iptables', '-w', '5', '-S', 'FORWARD']).catch(() => '');
  if (!forward.startsWith('-P FORWARD DROP')) return undefined;
  return (await succeeds(['iptables', '-w', '5', '-S', 'DOCKER-USER'])) ? 'DOCKER-USER' : 'FORWARD';
}

/** Lets the nodes reach the outside. Idempotent. */
export async function openOutside(cluster: Cluster, uplinks: string[]): Promise<void> {
  await execute(['nft', '-f', '-'], { input: natRules(cluster) });
  enableForwarding(cluster, uplinks);
  const chain = await closedChain();
  if (!chain) return;
  for (const rule of acceptRules(cluster)) {
    if (await succeeds(['iptables', '-w', '5', '-C', chain, ...rule])) continue;
    await execute(['iptables', '-w', '5', '-I', chain, ...rule]);
  }
}

/** Takes back everything that `openOutside` has done. */
export async function closeOutside(cluster: Cluster): Promise<void> {
  if (await succeeds(['nft', 'list', 'table', 'ip', tableName(cluster)]))
    await execute(['nft', 'delete', 'table', 'ip', tableName(cluster)]);
  const rules = (await execute(['iptables', '-w', '5', '-S']).catch(() => '')).split('\n');
  const cable = hostInterface(cluster);
  for (const rule of rules.filter(line => line.startsWith('-A') && line.includes(` ${cable} `)))
    await execute(['iptables', '-w', '5', '-D', ...rule.split(' ').slice(1)]);
  restoreForwarding(cluster);
}
