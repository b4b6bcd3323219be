import { CommandError, type CommandRunner } from '../../command';
import type { IpFamily } from '../../desired/ip-family';
import { addressType, nftFamily } from './skeleton';

const table = 'naru-proxy-probe';

/** What the rules use, each as the smallest text that needs it. Checked by `nft --check`: the kernel commits nothing. */
function featuresOf(family: IpFamily): { name: string; lines: string[] }[] {
  const ip = nftFamily[family];
  const place = `${ip} ${table}`;
  const [one, other] = family === 'IPv4' ? ['192.0.2.1', '192.0.2.2'] : ['2001:db8::1', '2001:db8::2'];
  const natChain = `add chain ${place} nat { type nat hook prerouting priority -100; }`;
  const postroutingChain = `add chain ${place} post { type nat hook postrouting priority 100; }`;
  const plainChain = `add chain ${place} plain`;
  return [
    { name: `tables of the ${ip} family (CONFIG_NF_TABLES_${family.toUpperCase()})`, lines: [] },
    { name: 'chains of type nat (CONFIG_NFT_NAT)', lines: [natChain] },
    {
      name: 'dnat by a random number (CONFIG_NFT_NUMGEN)',
      lines: [
        natChain,
        `add rule ${place} nat tcp dport 1 dnat ${ip} to numgen random mod 2 map { 0 : ${one} . 1, 1 : ${other} . 1 }`,
      ],
    },
    {
      name: 'maps with concatenated keys',
      lines: [
        plainChain,
        `add map ${place} m { type ${addressType[family]} . inet_proto . inet_service : verdict; }`,
        `add rule ${place} plain ${ip} daddr . meta l4proto . th dport vmap @m`,
      ],
    },
    {
      name: 'maps of endpoints (nft 1.0.3 or later)',
      lines: [
        natChain,
        `add map ${place} e { typeof ${ip} daddr . tcp dport . numgen random mod 65536 : ${ip} daddr . tcp dport; }`,
        `add rule ${place} nat dnat ${ip} to ${ip} daddr . tcp dport . numgen random mod 2 map @e`,
      ],
    },
    {
      name: `fib lookups (CONFIG_NFT_FIB_${family.toUpperCase()})`,
      lines: [natChain, `add rule ${place} nat fib daddr type local accept`],
    },
    {
      name: 'connection tracking (CONFIG_NFT_CT)',
      lines: [natChain, `add rule ${place} nat ct status dnat accept`],
    },
    {
      name: 'masquerade (CONFIG_NFT_MASQ)',
      lines: [postroutingChain, `add rule ${place} post masquerade fully-random`],
    },
    {
      name: `reject (CONFIG_NFT_REJECT_${family.toUpperCase()})`,
      lines: [plainChain, `add rule ${place} plain reject`],
    },
    {
      name: 'sets that packets fill',
      lines: [
        plainChain,
        `add set ${place} s { type ${addressType[family]}; size 65535; flags dynamic,timeout; }`,
        `add rule ${place} plain update @s { ${ip} saddr timeout 10s }`,
      ],
    },
  ];
}

export async function probeNftables(run: CommandRunner, { family }: { family: IpFamily }): Promise<string[]> {
  const features = featuresOf(family);
  const check = async (lines: string[]): Promise<CommandError | undefined> => {
    try {
      await run('nft', ['--check', '-f', '-'], `add table ${nftFamily[family]} ${table}\n${lines.join('\n')}\n`);
      return undefined;
    } catch (error) {
      if (error instanceof CommandError) return error;
      throw error;
    }
  };
  const together = await check([...new Set(features.flatMap(feature => feature.lines))]);
  if (!together) return [];
  if (together.missing) return ['the program nft (Debian: apt install nftables)'];
  const missing: string[] = [];
  for (const { name, lines } of features) if (await check(lines)) missing.push(name);
  return missing.length > 0 ? missing : [together.stderr];
}
