import type { ModeDeps, ProxyMode, RuleSync, Update } from '../mode';
import { probeIptables } from './probe';
import { readSaved } from './read-saved';
import { renderChanges, renderCleanup, renderFull } from './tables';

/** Rules in chains of the tables nat and filter, by `iptables-restore --noflush`, laid out as upstream's. */
export const iptables: ProxyMode = {
  name: 'iptables',
  probe: probeIptables,
  build: deps => new IptablesRuleSync(deps),
};

/** Waits so long for the lock that other users of legacy iptables hold. */
export const restoreArguments = ['--wait', '5', '--noflush'];

class IptablesRuleSync implements RuleSync {
  constructor(private readonly deps: ModeDeps) {}

  async sync(update: Update): Promise<void> {
    const { run, config } = this.deps;
    const text = update.full
      ? renderFull(update.ports(), config, await readSaved(run))
      : renderChanges(update.changes, config);
    if (text !== '') await run('iptables-restore', restoreArguments, text);
  }

  async cleanup(): Promise<void> {
    const text = renderCleanup(await readSaved(this.deps.run));
    if (text !== '') await this.deps.run('iptables-restore', restoreArguments, text);
  }
}
