import { CommandError, type CommandRunner } from '../command';
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
    { table: 'nat', chain: 'POSTROUTING', rule: ['-s', clusterCidr, '-j', natChain], to: natChain },
    { table: 'filter', chain: 'FORWARD', rule: ['-j', forwardChain], to: forwardChain },
  ];
  const iptables = (table: string, ...args: string[]): Promise<string> =>
    run('iptables', ['-w', '5', '-t', table, ...args]);
  /** False when iptables says no, which is how it answers that a rule or chain is not there. */
  const succeeds = async (table: string, ...args: string[]): Promise<boolean> => {
    try {
      await iptables(table, ...args);
      return true;
    } catch (error) {
      if (error instanceof CommandError && error.exitCode !== undefined) return false;
      throw error;
    }
  };
  return {
    async apply() {
      await run('iptables-restore', ['--wait', '5', '--noflush'], renderIptablesMasquerade(clusterCidr));
      for (const { table, chain, rule } of jumps) {
        if (!(await succeeds(table, '-C', chain, ...rule))) await iptables(table, '-A', chain, ...rule);
      }
    },
    async cleanup() {
      for (const { table, chain, rule, to } of jumps) {
        await succeeds(table, '-D', chain, ...rule);
        if (await succeeds(table, '-F', to)) await iptables(table, '-X', to);
      }
    },
  };
}
