import type { CommandRunner } from '../../command';
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

/** For a shell: `iptables -w 5 -t nat -C OUTPUT -j KUBE-SERVICES`. */
function command(family: IpFamily, table: string, ...args: readonly string[]): string {
  return [iptablesProgram[family], '-w', '5', '-t', table, ...args].join(' ');
}

/** Adds those that are missing at the end of their chains; one process tells the kernel of all. */
export async function ensureJumps(run: CommandRunner, jumps: readonly Jump[], family: IpFamily): Promise<void> {
  const lines = jumps.map(jump => {
    const tell = (verb: string): string => command(family, jump.table, verb, ...ruleOf(jump));
    return `${tell('-C')} 2>/dev/null || ${tell('-A')}`;
  });
  await run('sh', ['-e', '-c', lines.join('\n')]);
}

/** Deletes those that are there and says whether a chain that they led to is. */
export async function removeJumps(run: CommandRunner, jumps: readonly Jump[], family: IpFamily): Promise<boolean> {
  const lines = jumps.flatMap(jump => [
    `${command(family, jump.table, '-D', ...ruleOf(jump))} 2>/dev/null`,
    `${command(family, jump.table, '-S', jump.to)} 2>/dev/null`,
  ]);
  return (await run('sh', ['-c', [...lines, 'true'].join('\n')])).includes('-N ');
}
