import { familyOf } from '@naru/foundation';
import type { CommandRunner } from '../command';
import { isIpv6 } from '../desired/ip-family';
import { ensureJumps, removeJumps } from '../modes/iptables/jumps';
import { iptablesRestore } from '../modes/iptables/programs';
import type { ModeName } from '../modes/mode';

const tableName = 'naru-pod-network';
const natChain = 'NARU-POD-NETWORK';
const forwardChain = 'NARU-FORWARD';

/** The rules that let pods reach what is outside the cluster, where nobody knows the way back to them. */
export interface Masquerade {
  apply(): Promise<void>;
  cleanup(): Promise<void>;
}

/** What the rules of a range need to know of its family. */
const words = {
  4: { family: 'ip', multicast: '224.0.0.0/4' },
  6: { family: 'ip6', multicast: 'ff00::/8' },
} as const;

/** A table with one chain; replaced whole, which is one transaction. */
export function renderNftMasquerade(clusterCidr: string): string {
  const { family, multicast } = words[familyOf(clusterCidr)];
  return `add table ${family} ${tableName}
delete table ${family} ${tableName}
table ${family} ${tableName} {
  chain postrouting {
    type nat hook postrouting priority 100;
    ${family} saddr ${clusterCidr} ${family} daddr != { ${clusterCidr}, ${multicast} } masquerade fully-random
  }
}
`;
}

export function renderIptablesMasquerade(clusterCidr: string): string {
  return `*nat
:${natChain} - [0:0]
-A ${natChain} -d ${clusterCidr} -j RETURN
-A ${natChain} -d ${words[familyOf(clusterCidr)].multicast} -j RETURN
-A ${natChain} -j MASQUERADE --random-fully
COMMIT
*filter
:${forwardChain} - [0:0]
-A ${forwardChain} -s ${clusterCidr} -j ACCEPT
-A ${forwardChain} -d ${clusterCidr} -j ACCEPT
COMMIT
`;
}

/** `clusterCidrs`: the pods' range of each family that the cluster has. */
export function createMasquerade(mode: ModeName, run: CommandRunner, clusterCidrs: readonly string[]): Masquerade {
  // The mode for machines that may not be given rules: pods then reach what is outside only where others masquerade.
  const create = mode === 'nftables' ? nftMasquerade : iptablesMasquerade;
  const all = mode === 'userspace' ? [] : clusterCidrs.map(clusterCidr => create(run, clusterCidr));
  return {
    async apply() {
      for (const each of all) await each.apply();
    },
    async cleanup() {
      for (const each of all) await each.cleanup();
    },
  };
}

function nftMasquerade(run: CommandRunner, clusterCidr: string): Masquerade {
  const { family } = words[familyOf(clusterCidr)];
  return {
    async apply() {
      await run('nft', ['-f', '-'], renderNftMasquerade(clusterCidr));
    },
    async cleanup() {
      await run('nft', ['-f', '-'], `add table ${family} ${tableName}\ndelete table ${family} ${tableName}\n`);
    },
  };
}

function iptablesMasquerade(run: CommandRunner, clusterCidr: string): Masquerade {
  const family = isIpv6(clusterCidr) ? 'IPv6' : 'IPv4';
  const jumps = [
    { table: 'nat', chain: 'POSTROUTING', match: ['-s', clusterCidr], to: natChain },
    { table: 'filter', chain: 'FORWARD', to: forwardChain },
  ] as const;
  return {
    async apply() {
      await iptablesRestore(run, family, renderIptablesMasquerade(clusterCidr));
      await ensureJumps(run, jumps, family);
    },
    async cleanup() {
      if (await removeJumps(run, jumps, family)) await iptablesRestore(run, family, renderIptablesRemoval());
    },
  };
}

function renderIptablesRemoval(): string {
  return `*nat
:${natChain} - [0:0]
-X ${natChain}
COMMIT
*filter
:${forwardChain} - [0:0]
-X ${forwardChain}
COMMIT
`;
}
