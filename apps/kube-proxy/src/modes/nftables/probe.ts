import { CommandError, type CommandRunner } from '../../command';

const table = 'naru-proxy-probe';
const natChain = `add chain ip ${table} nat { type nat hook prerouting priority -100; }`;
const postroutingChain = `add chain ip ${table} post { type nat hook postrouting priority 100; }`;
const plainChain = `add chain ip ${table} plain`;

/** What the rules use, each as the smallest text that needs it. Checked by `nft --check`: the kernel commits nothing. */
const features: { name: string; lines: string[] }[] = [
  { name: 'tables of the ip family (CONFIG_NF_TABLES_IPV4)', lines: [] },
  { name: 'chains of type nat (CONFIG_NFT_NAT)', lines: [natChain] },
  {
    name: 'dnat by a random number (CONFIG_NFT_NUMGEN)',
    lines: [
      natChain,
      `add rule ip ${table} nat tcp dport 1 dnat ip to numgen random mod 2 map { 0 : 1.1.1.1 . 1, 1 : 1.1.1.2 . 1 }`,
    ],
  },
  {
    name: 'maps with concatenated keys',
    lines: [
      plainChain,
      `add map ip ${table} m { type ipv4_addr . inet_proto . inet_service : verdict; }`,
      `add rule ip ${table} plain ip daddr . meta l4proto . th dport vmap @m`,
    ],
  },
  {
    name: 'maps of endpoints (nft 1.0.3 or later)',
    lines: [
      natChain,
      `add map ip ${table} e { typeof ip daddr . tcp dport . numgen random mod 65536 : ip daddr . tcp dport; }`,
      `add rule ip ${table} nat dnat ip to ip daddr . tcp dport . numgen random mod 2 map @e`,
    ],
  },
  {
    name: 'fib lookups (CONFIG_NFT_FIB_IPV4)',
    lines: [natChain, `add rule ip ${table} nat fib daddr type local accept`],
  },
  {
    name: 'connection tracking (CONFIG_NFT_CT)',
    lines: [natChain, `add rule ip ${table} nat ct status dnat accept`],
  },
  {
    name: 'masquerade (CONFIG_NFT_MASQ)',
    lines: [postroutingChain, `add rule ip ${table} post masquerade fully-random`],
  },
  {
    name: 'reject (CONFIG_NFT_REJECT_IPV4)',
    lines: [plainChain, `add rule ip ${table} plain reject`],
  },
  {
    name: 'sets that packets fill',
    lines: [
      plainChain,
      `add set ip ${table} s { type ipv4_addr; size 65535; flags dynamic,timeout; }`,
      `add rule ip ${table} plain update @s { ip saddr timeout 10s }`,
    ],
  },
];

export async function probeNftables(run: CommandRunner): Promise<string[]> {
  const check = async (lines: string[]): Promise<CommandError | undefined> => {
    try {
      await run('nft', ['--check', '-f', '-'], `add table ip ${table}\n${lines.join('\n')}\n`);
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
