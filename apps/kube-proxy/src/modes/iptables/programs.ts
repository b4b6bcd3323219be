import type { CommandRunner } from '../../command';
import type { IpFamily } from '../../desired/ip-family';

/** The program that keeps the rules of a family. */
export const iptablesProgram: Readonly<Record<IpFamily, string>> = { IPv4: 'iptables', IPv6: 'ip6tables' };

/** Waits a while for the lock that other users of legacy iptables hold. */
export async function iptablesRestore(run: CommandRunner, family: IpFamily, text: string): Promise<void> {
  await run(`${iptablesProgram[family]}-restore`, ['--wait', '5', '--noflush'], text);
}

/** Whether iptables keeps its rules in nf_tables; the legacy variant changes a whole table at a time. */
export async function usesNfTables(run: CommandRunner, family: IpFamily): Promise<boolean> {
  return (await run(iptablesProgram[family], ['--version'])).includes('nf_tables');
}
