import { CommandError, type CommandRunner } from '../../command';
import type { IpFamily } from '../../desired/ip-family';
import { nftFamily } from '../nftables/skeleton';
import { iptablesProgram } from './programs';
import { jumps, type TableName } from './skeleton';
import { parseSaved, type Saved } from './tables';

/**
 * What is in the kernel, as far as it matters: the names of all chains, and the rules of those that our jumps are in. A listing of all
 * rules grows with the cluster, and iptables-save of Debian 12 crashes on that of 100,000 endpoints.
 */
export async function readSaved(run: CommandRunner, family: IpFamily, inNfTables: boolean): Promise<Saved> {
  const chains = inNfTables ? await readChains(run, family) : undefined;
  if (!chains) return parseSaved(await run(`${iptablesProgram[family]}-save`, []));
  const saved: Saved = { chains, rules: { filter: new Set(), nat: new Set() } };
  for (const place of new Set(jumps.map(({ table, chain }) => `${table} ${chain}`))) {
    const [table, chain] = place.split(' ') as [TableName, string];
    const listing = await run(iptablesProgram[family], ['--wait', '5', '--table', table, '--list-rules', chain]);
    for (const line of listing.split('\n')) if (line.startsWith('-A ')) saved.rules[table].add(line);
  }
  return saved;
}

interface Listing {
  nftables: { chain?: { table: string; name: string } }[];
}

/** Undefined where nft is not there to list them. */
async function readChains(run: CommandRunner, family: IpFamily): Promise<Saved['chains'] | undefined> {
  try {
    const { nftables } = JSON.parse(await run('nft', ['--json', 'list', 'chains', nftFamily[family]])) as Listing;
    const chains: Saved['chains'] = { filter: [], nat: [] };
    for (const { chain } of nftables) {
      if (chain?.table === 'filter' || chain?.table === 'nat') chains[chain.table].push(chain.name);
    }
    return chains;
  } catch (error) {
    if (error instanceof CommandError && error.missing) return undefined;
    throw error;
  }
}
