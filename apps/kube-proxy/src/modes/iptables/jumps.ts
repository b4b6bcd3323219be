import { CommandError, type CommandRunner } from '../../command';
import type { IpFamily } from '../../desired/ip-family';
import { iptablesProgram } from './programs';

/** A rule in a chain that is not ours, which leads to one that is. */
export interface Jump {
  readonly table: 'nat' | 'filter';
  readonly chain: string;
  readonly match?: readonly string[];
  readonly to: string;
}

function ruleOf({ chain, match = [], to }: Jump): string[] {
  return [chain, ...match, '-j', to];
}

/** False when iptables says no, which is how it answers that a rule or chain is not there. */
async function succeeds(run: CommandRunner, family: IpFamily, table: string, ...args: string[]): Promise<boolean> {
  try {
    await run(iptablesProgram[family], ['-w', '5', '-t', table, ...args]);
    return true;
  } catch (error) {
    if (error instanceof CommandError && error.exitCode !== undefined) return false;
    throw error;
  }
}

/** Adds those that are missing at the end of their chains. */
export async function ensureJumps(
  run: CommandRunner,
  jumps: readonly Jump[],
  family: IpFamily = 'IPv4',
): Promise<void> {
  for (const jump of jumps) {
    const { table } = jump;
    if (await succeeds(run, family, table, '-C', ...ruleOf(jump))) continue;
    await run(iptablesProgram[family], ['-w', '5', '-t', table, '-A', ...ruleOf(jump)]);
  }
}

/** Deletes those that are there and says whether a chain that they led to is. */
export async function removeJumps(
  run: CommandRunner,
  jumps: readonly Jump[],
  family: IpFamily = 'IPv4',
): Promise<boolean> {
  let found = false;
  for (const jump of jumps) {
    const { table, to } = jump;
    await succeeds(run, family, table, '-D', ...ruleOf(jump));
    found = (await succeeds(run, family, table, '-S', to)) || found;
  }
  return found;
}
