import type { CommandRunner } from '../command';
import { ensureJumps, removeJumps } from '../modes/iptables/jumps';
import type { ModeName } from '../modes/mode';

const tableName = 'naru-pod-network';
const natChain = 'NARU-POD-NETWORK';
const forwardChain = 'NARU-FORWARD';

/** The rules that let pods reach what is outside the cluster, where nobody knows the way back to them. */
export interface Masquerade {
  apply(): Promise<void>;
  cleanup(): Promise<void>;
}

/** A table with one chain; replaced whole, which is one transaction. */
export function renderNftMasquerade(clusterCidr: string): string {
  return `add table ip ${tableName}
delete table ip ${tableName}
table ip ${tableName} {
  chain postrouting {
    type nat hook postrouting priority 100;
    ip saddr ${clusterCidr} ip daddr != { ${clusterCidr}, 224.0.0.0/4 } masquerade fully-random
  }
}
`;
}

export function renderIptablesMasquerade(clusterCidr: string): string {
  return `*nat
:${natChain} - [0:0]
-A ${natChain} -d ${clusterCidr} -j RETURN
-A ${natChain} -d 224.0.0.0/4 -j RETURN
-A ${natChain} -j MASQUERADE --random-fully
COMMIT
*filter
:${forwardChain} - [0:0]
-A ${forwardChain} -s ${clusterCidr} -j ACCEPT
-A ${forwardChain} -d ${clusterCidr} -j ACCEPT
COMMIT
`;
}

export function createMasquerade(mode: ModeName, run: CommandRunner, clusterCidr: string): Masquerade {
  // The mode for machines that may not be given rules: pods then reach what is outside only where others masquerade.
  if (mode === 'userspace') return { apply: () => Promise.resolve(), cleanup: () => Promise.resolve() };
  return mode === 'nftables' ? nftMasquerade(run, clusterCidr) : iptablesMasquerade(run, clusterCidr);
}

function nftMasquerade(run: CommandRunner, clusterCidr: string): Masquerade {
  return {
    async apply() {
      await run('nft', ['-f', '-'], renderNftMasquerade(clusterCidr));
    },
    async cleanup() {
      await run('nft', ['-f', '-'], `add table ip ${tableName}\ndelete table ip ${tableName}\n`);
    },
  };
}

function iptablesMasquerade(run: CommandRunner, clusterCidr: string): Masquerade {
  const jumps = [
    { table: 'nat', chain: 'POSTROUTING', match: ['-s', clusterCidr], to: natChain },
    { table: 'filter', chain: 'FORWARD', to: forwardChain },
  ] as const;
  return {
    async apply() {
      await run('iptables-restore', ['--wait', '5', '--noflush'], renderIptablesMasquerade(clusterCidr));
      await ensureJumps(run, jumps);
    },
    async cleanup() {
      if (await removeJumps(run, jumps))
        await run('iptables-restore', ['--wait', '5', '--noflush'], renderIptablesRemoval());
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
