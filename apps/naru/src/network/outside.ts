import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ipv6NodeNetwork } from '../address';
import type { Cluster } from '../cluster';
import { execute, succeeds } from '../execute';
import type { Uplinks } from './bridge';
import { forwardIpv6From } from './ipv6-forwarding';
import { hostInterface, tableName } from './names';

interface FamilyRules {
  nft: 'ip' | 'ip6';
  iptables: 'iptables' | 'ip6tables';
  /** Of the nodes. */
  network(nodeCidr: string): string;
}

const ipv4: FamilyRules = { nft: 'ip', iptables: 'iptables', network: nodeCidr => nodeCidr };
const ipv6: FamilyRules = { nft: 'ip6', iptables: 'ip6tables', network: ipv6NodeNetwork };

/** The nodes meet by IPv4 in any case. */
function familiesOf({ settings }: Cluster): FamilyRules[] {
  return settings.ipFamily === 'ipv4' ? [ipv4] : [ipv4, ipv6];
}

/** The rules that let nodes reach the outside through this machine: tables of our own, removed as a whole. */
export function natRules(cluster: Cluster): string {
  const cable = hostInterface(cluster);
  return familiesOf(cluster)
    .map(({ nft, network }) => {
      const table = `${nft} ${tableName(cluster)}`;
      return `table ${table}
delete table ${table}
table ${table} {
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    ${nft} saddr ${network(cluster.settings.nodeCidr)} oifname != "${cable}" masquerade
  }
}
`;
    })
    .join('');
}

/** Those of this cluster's tables that are there, as nft names them: `ip NAME`. */
export async function natTables(cluster: Cluster): Promise<string[]> {
  const found: string[] = [];
  for (const { nft } of [ipv4, ipv6])
    if (await succeeds(['nft', 'list', 'table', nft, tableName(cluster)])) found.push(`${nft} ${tableName(cluster)}`);
  return found;
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

function rulesCommand({ iptables }: FamilyRules, ...args: string[]): string[] {
  return [iptables, '-w', '5', ...args];
}

/** The chain in which accepting must happen because another chain would drop; undefined when nothing drops. */
async function closedChain(family: FamilyRules): Promise<string | undefined> {
  const forward = await execute(rulesCommand(family, '-S', 'FORWARD')).catch(() => '');
  if (!forward.startsWith('-P FORWARD DROP')) return undefined;
  return (await succeeds(rulesCommand(family, '-S', 'DOCKER-USER'))) ? 'DOCKER-USER' : 'FORWARD';
}

async function acceptWhereClosed(cluster: Cluster, family: FamilyRules, attempts = 3): Promise<void> {
  const chain = await closedChain(family);
  if (!chain) return;
  try {
    for (const rule of acceptRules(cluster)) {
      if (await succeeds(rulesCommand(family, '-C', chain, ...rule))) continue;
      await execute(rulesCommand(family, '-I', chain, ...rule));
    }
  } catch (error) {
    // Docker makes its chain when it starts and may take it away when it ends: what was found may be so no more.
    if (attempts === 1) throw error;
    await acceptWhereClosed(cluster, family, attempts - 1);
  }
}

/** The rules that name the cluster's interface, as `iptables -S` shows them. */
async function ownRules(cluster: Cluster, family: FamilyRules): Promise<string[]> {
  const rules = (await execute(rulesCommand(family, '-S')).catch(() => '')).split('\n');
  return rules.filter(line => line.startsWith('-A') && line.includes(` ${hostInterface(cluster)} `));
}

/**
 * Lets the nodes reach the outside. Idempotent. By IPv6 as far as the machine forwards it: see ipv6-forwarding.ts.
 */
export async function openOutside(cluster: Cluster, uplinks: Pick<Uplinks, 'ipv4'>): Promise<void> {
  await execute(['nft', '-f', '-'], { input: natRules(cluster) });
  enableForwarding(cluster, uplinks.ipv4);
  const families = familiesOf(cluster);
  if (families.includes(ipv6)) forwardIpv6From(hostInterface(cluster));
  for (const family of families) await acceptWhereClosed(cluster, family);
}

/** Takes back everything that `openOutside` has done. */
export async function closeOutside(cluster: Cluster): Promise<void> {
  for (const table of await natTables(cluster)) await execute(['nft', 'delete', 'table', ...table.split(' ')]);
  for (const family of [ipv4, ipv6])
    for (const rule of await ownRules(cluster, family))
      await execute(rulesCommand(family, '-D', ...rule.split(' ').slice(1))).catch(async (error: Error) => {
        // It may have gone with the chain of somebody else.
        if ((await ownRules(cluster, family)).includes(rule)) throw error;
      });
  restoreForwarding(cluster);
}
