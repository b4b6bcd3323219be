import { hostPort } from '@naru/foundation';
import { CommandError, type CommandRunner } from '../../command';
import type { IpFamily } from '../../desired/ip-family';
import { iptablesProgram, iptablesRestore } from './programs';

interface Feature {
  name: string;
  table: 'nat' | 'filter';
  rule: string;
}

/** Of the ranges for documentation: nobody sends packets there. */
const nowhere: Readonly<Record<IpFamily, string>> = { IPv4: '192.0.2.1', IPv6: '2001:db8::1' };

/** What the rules use. A chain that nothing leads to is made with one such rule, and removed in the same input. */
const featuresOf = (family: IpFamily): Feature[] => [
  { name: 'comment match', table: 'nat', rule: '-m comment --comment probe -j RETURN' },
  {
    name: 'DNAT target',
    table: 'nat',
    rule: `-p tcp -m tcp -j DNAT --to-destination ${hostPort(nowhere[family], 80)}`,
  },
  { name: 'MASQUERADE target', table: 'nat', rule: '-j MASQUERADE --random-fully' },
  { name: 'MARK target', table: 'nat', rule: '-j MARK --or-mark 0x4000' },
  { name: 'mark match', table: 'nat', rule: '-m mark --mark 0x4000/0x4000 -j RETURN' },
  { name: 'addrtype match', table: 'nat', rule: '-m addrtype --dst-type LOCAL -j RETURN' },
  { name: 'statistic match', table: 'nat', rule: '-m statistic --mode random --probability 0.5 -j RETURN' },
  { name: 'conntrack match', table: 'filter', rule: '-m conntrack --ctstate NEW -j RETURN' },
  { name: 'REJECT target', table: 'filter', rule: '-p tcp -j REJECT --reject-with tcp-reset' },
];
const chain = 'NARU-PROBE';

export async function probeIptables(run: CommandRunner, { family }: { family: IpFamily }): Promise<string[]> {
  const features = featuresOf(family);
  const attempt = async (wanted: Feature[]): Promise<CommandError | undefined> => {
    const text = (['nat', 'filter'] as const).flatMap(table => {
      const rules = wanted.filter(feature => feature.table === table);
      if (rules.length === 0) return [];
      const lines = rules.map(({ rule }) => `-A ${chain} ${rule}`);
      return [`*${table}`, `:${chain} - [0:0]`, ...lines, `-F ${chain}`, `-X ${chain}`, 'COMMIT'];
    });
    try {
      await iptablesRestore(run, family, `${text.join('\n')}\n`);
      return undefined;
    } catch (error) {
      if (error instanceof CommandError) return error;
      throw error;
    }
  };
  const together = await attempt(features);
  if (!together) return [];
  if (together.missing) return [`the program ${iptablesProgram[family]}-restore (Debian: apt install iptables)`];
  const missing: string[] = [];
  for (const feature of features) {
    if (await attempt([feature])) missing.push(`${feature.name} in the table ${feature.table}`);
  }
  return missing.length > 0 ? missing : [together.stderr];
}
