import type { ModeDeps, ProxyMode, RuleSync, Update } from '../mode';
import { probeIptables } from './probe';
import { iptablesRestore, usesNfTables } from './programs';
import { readSaved } from './read-saved';
import { chainsPerInput, renderChanges, renderCleanup, renderFull, type Saved } from './tables';

/** Rules in chains of the tables nat and filter, by `iptables-restore --noflush`, laid out as upstream's. */
export const iptables: ProxyMode = {
  name: 'iptables',
  probe: probeIptables,
  build: deps => new IptablesRuleSync(deps),
};

class IptablesRuleSync implements RuleSync {
  private inNfTables: boolean | undefined;

  constructor(private readonly deps: ModeDeps) {}

  async sync(update: Update): Promise<void> {
    const { config } = this.deps;
    const perInput = await this.chainsPerInput();
    if (update.full) await this.restore(renderFull(update.ports(), config, await this.readSaved(), perInput));
    else await this.restore(renderChanges(update.changes, config, perInput));
  }

  async cleanup(): Promise<void> {
    await this.restore(renderCleanup(await this.readSaved(), await this.chainsPerInput()));
  }

  private async restore(inputs: Iterable<string>): Promise<void> {
    for (const text of inputs) await iptablesRestore(this.deps.run, this.deps.config.family, text);
  }

  private async readSaved(): Promise<Saved> {
    return readSaved(this.deps.run, this.deps.config.family, await this.isInNfTables());
  }

  /** Of the legacy variant each input takes as long as all rules do. */
  private async chainsPerInput(): Promise<number> {
    return (await this.isInNfTables()) ? chainsPerInput : Number.POSITIVE_INFINITY;
  }

  private async isInNfTables(): Promise<boolean> {
    return (this.inNfTables ??= await usesNfTables(this.deps.run, this.deps.config.family));
  }
}
