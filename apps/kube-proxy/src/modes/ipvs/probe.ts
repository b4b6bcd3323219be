import { CommandError, type CommandRunner } from '../../command';
import type { RuleConfig } from '../mode';
import { probeIptables } from '../iptables/probe';

/** Addresses of the ranges for documentation: nobody sends packets there. */
const nowhere = { IPv4: '-t 192.0.2.1:9', IPv6: '-t [2001:db8::1]:9' } as const;

/** Tries each need by itself, so that the answer names all that is missing. */
export async function probeIpvs(run: CommandRunner, config: RuleConfig): Promise<string[]> {
  const missing: string[] = [];
  const attempt = async (name: string, program: string, args: string[], stdin?: string): Promise<boolean> => {
    try {
      await run(program, args, stdin);
      return true;
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      missing.push(error.missing ? `the program ${program} (Debian: apt install ${program})` : name);
      return false;
    }
  };
  if (await attempt('IPVS in the kernel (CONFIG_IP_VS)', 'ipvsadm', ['--list', '--numeric'])) {
    const place = nowhere[config.family];
    const scheduler = config.ipvsScheduler ?? 'rr';
    const name = `the IPVS scheduler ${scheduler} (CONFIG_IP_VS_${scheduler.toUpperCase()})`;
    const lines = `-A ${place} -s ${scheduler}\n-D ${place}\n`;
    await attempt(name, 'ipvsadm', ['--restore'], lines);
  }
  const link = 'naru-probe0';
  const tryLink = `ip link add ${link} type dummy && ip link delete ${link}`;
  await attempt('dummy network devices (CONFIG_DUMMY)', 'sh', ['-c', tryLink]);
  const set = 'NARU-IPVS-PROBE';
  if (await attempt('sets of addresses and ports (CONFIG_IP_SET)', 'ipset', ['create', set, 'hash:ip,port'])) {
    await run('ipset', ['destroy', set]);
  }
  return [...missing, ...(await probeIptables(run, config))];
}
