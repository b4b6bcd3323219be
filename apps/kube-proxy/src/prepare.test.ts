import { CommandError, type CommandRunner } from './command';
import { requireMode } from './prepare';

/** A machine where everything works but what `failures` names, with what it says. */
function machine(failures: Record<string, string>): CommandRunner {
  return program => {
    const words = failures[program];
    return words === undefined ? Promise.resolve('[]') : Promise.reject(new CommandError(program, 255, words));
  };
}

test('a mode that the kernel lacks is refused with what is missing and what would do instead', async () => {
  const run = machine({ ipvsadm: "Can't initialize ipvs: Protocol not available", nft: 'Operation not supported' });
  await expect(requireMode('ipvs', { family: 'IPv4', clusterCidr: undefined }, run)).rejects.toThrow(
    /mode ipvs needs what is missing here: IPVS in the kernel \(CONFIG_IP_VS\); .*--proxy-mode=iptables, --proxy-mode=userspace/,
  );
  await expect(requireMode('nftables', { family: 'IPv4', clusterCidr: undefined }, run)).rejects.toThrow(
    /mode nftables needs what is missing here: tables of the ip family/,
  );
  expect((await requireMode('iptables', { family: 'IPv4', clusterCidr: undefined }, run)).name).toBe('iptables');
});
