import type { ModeDeps, ProxyMode, RuleSync, Update } from '../mode';
import { probeIptables } from './probe';
import { iptablesRestore } from './programs';
import { readSaved } from './read-saved';
import { renderChanges, renderCleanup, renderFull } from './tables';

/** Rules in chains of the tables nat and filter, by `iptables-restore --noflush`, laid out as upstream's. */
export const iptables: ProxyMode = {
  name: 'iptables',
  probe: probeIptables,
  build: deps => new IptablesRuleSync(deps),
};

class IptablesRuleSync implements RuleSync {
  constructor(private readonly deps: ModeDeps) {}

  async sync(update: Update): Promise<void> {
    const { run, config } = this.deps;
    const text = update.full
      ? renderFull(update.ports(), config, await readSaved(run, config.family))
      : renderChanges(update.changes, config);
    if (text !== '') await iptablesRestore(run, config.family, text);
  }

  async cleanup(): Promise<void> {
    const { run, config } = this.deps;
    const text = renderCleanup(await readSaved(run, config.family));
    if (text !== '') await iptablesRestore(run, config.family, text);
  }
}
