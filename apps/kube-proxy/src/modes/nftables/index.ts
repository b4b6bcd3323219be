import { CommandError, type CommandRunner } from '../../command';
import type { ModeDeps, ProxyMode, RuleSync, Update } from '../mode';
import { probeNftables } from './probe';
import { nftFamily, tableName } from './skeleton';
import { NftTable, type Existing } from './table';

/** Rules in one table of nf_tables, changed by one transaction a sync. */
export const nftables: ProxyMode = {
  name: 'nftables',
  probe: probeNftables,
  build: deps => new NftRuleSync(deps),
};

class NftRuleSync implements RuleSync {
  private readonly table: NftTable;
  /** Such as `ip naru-proxy`. */
  private readonly place: string;

  constructor(private readonly deps: ModeDeps) {
    this.table = new NftTable(deps.config);
    this.place = `${nftFamily[deps.config.family]} ${tableName}`;
  }

  async sync(update: Update): Promise<void> {
    if (!update.full) {
      const text = this.table.renderChanges(update.changes);
      if (text !== '') await this.apply(text);
      return;
    }
    const existing = await readExisting(this.deps.run, this.place);
    if (!existing) {
      await this.apply(this.table.renderFull(update.ports()));
      return;
    }
    try {
      await this.apply(this.table.renderFull(update.ports(), existing));
    } catch (err) {
      // Somebody has changed our table in a way that cannot be built upon: put a new one in its place, at once.
      this.deps.logger.warn({ err }, 'rules could not be put right and are made anew');
      await this.apply(`delete table ${this.place}\n${this.table.renderFull(update.ports())}`);
    }
  }

  async cleanup(): Promise<void> {
    // Adding what is there is harmless, deleting what is not is an error.
    await this.apply(`add table ${this.place}\ndelete table ${this.place}\n`);
  }

  private async apply(text: string): Promise<void> {
    await this.deps.run('nft', ['-f', '-'], text);
  }
}

interface Listing {
  nftables: { chain?: { name: string }; set?: { name: string }; map?: { name: string } }[];
}

/** What an earlier process, or this one, has left in the kernel; undefined when there is no table. */
async function readExisting(run: CommandRunner, place: string): Promise<Existing | undefined> {
  let text: string;
  try {
    text = await run('nft', ['--json', '--terse', 'list', 'table', ...place.split(' ')]);
  } catch (error) {
    if (error instanceof CommandError && error.exitCode === 1) return undefined;
    throw error;
  }
  const existing: Existing = { chains: [], sets: [] };
  for (const { chain, set, map } of (JSON.parse(text) as Listing).nftables) {
    if (chain) existing.chains.push(chain.name);
    const named = set ?? map;
    if (named) existing.sets.push(named.name);
  }
  return existing;
}
