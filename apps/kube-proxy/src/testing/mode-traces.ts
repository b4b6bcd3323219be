import { hostPort } from '@naru/foundation';
import type { IpFamily } from '../desired/ip-family';
import { kernelNames } from '../modes/ipvs/filter';
import { device } from '../modes/ipvs/kernel';
import { iptablesProgram } from '../modes/iptables/programs';
import type { ModeName } from '../modes/mode';
import { nftFamily } from '../modes/nftables/skeleton';
import { labAddresses } from './lab-addresses';
import type { LabNode } from './network-lab';

/** What a test sees of a mode in a node's kernel, and does there behind its back. */
export interface ModeTraces {
  /** All that is the mode's, the same text for the same rules; empty when there is nothing. */
  own(): Promise<string>;
  /** Deletes a part of it that packets need. */
  damage(): Promise<void>;
  /** Rules of somebody else, by the same means. */
  plantForeign(): Promise<void>;
  /** They are all there. */
  hasForeign(): Promise<boolean>;
}

const makers: Partial<Record<ModeName, (node: LabNode, family: IpFamily) => ModeTraces>> = {
  nftables: tracesOfNftables,
  iptables: tracesOfIptables,
  ipvs: tracesOfIpvs,
};

export function tracesOf(mode: ModeName, node: LabNode, family: IpFamily): ModeTraces {
  const make = makers[mode];
  if (!make) throw new Error(`the mode ${mode} has no rules`);
  return make(node, family);
}

/** Sorted, because the order of independent rules and elements may differ between ways to the same state. */
function asText(lines: readonly string[]): string {
  return lines.filter(Boolean).sort().join('\n');
}

function tracesOfNftables({ run }: LabNode, family: IpFamily): ModeTraces {
  const ip = nftFamily[family];
  const rule = `dnat to ${labAddresses[family].host(99)}`;
  return {
    async own() {
      const has = (await run('nft', ['list', 'tables'])).includes(`${ip} naru-proxy\n`);
      const listing = has ? await run('nft', ['list', 'table', ip, 'naru-proxy']) : '';
      // The clients that stick to an endpoint come and go by themselves.
      const words = listing.split(/,|\n/).map(line => line.replace(/^\s*(elements = \{ )?|[\s}]*$/g, ''));
      return asText(words.filter(line => !line.includes('expires')));
    },
    damage: async () => void (await run('nft', ['flush', 'chain', ip, 'naru-proxy', 'services'])),
    async plantForeign() {
      const chain = `chain output { type nat hook output priority -100; tcp dport 1 ${rule}; }`;
      await run('nft', ['-f', '-'], `table ${ip} foreign { ${chain}; }`);
    },
    hasForeign: async () => (await run('nft', ['list', 'table', ip, 'foreign'])).includes(rule),
  };
}

function tracesOfIptables({ run }: LabNode, family: IpFamily): ModeTraces {
  const program = iptablesProgram[family];
  const rule = ['-p', 'tcp', '-m', 'tcp', '--dport', '1', '-j', 'RETURN'];
  return {
    own: async () => asText(await savedRules({ run }, program, 'KUBE-')),
    damage: async () => void (await run(program, ['-t', 'nat', '-F', 'KUBE-SERVICES'])),
    plantForeign: async () => void (await run(program, ['-t', 'nat', '-A', 'OUTPUT', ...rule])),
    hasForeign: async () => (await run(`${program}-save`, ['-t', 'nat'])).includes(`-A OUTPUT ${rule.join(' ')}`),
  };
}

function tracesOfIpvs({ run }: LabNode, family: IpFamily): ModeTraces {
  const { host } = labAddresses[family];
  const foreign = hostPort(host(99), 9);
  const ofFamily = (line: string): boolean => line.includes('[') === (family === 'IPv6');
  return {
    async own() {
      const servers = (await run('ipvsadm', ['--save', '-n'])).split('\n');
      // A set that is made anew is hashed anew.
      const sets = (await run('ipset', ['save'])).replace(/ (hashsize|initval) \S+/g, '').split('\n');
      const names = new Set(kernelNames(family));
      const links = (await run('ip', ['-brief', 'link'])).split('\n');
      return asText([
        ...servers.filter(line => line !== '' && ofFamily(line) && !line.includes(foreign)),
        ...sets.filter(line => names.has(line.split(' ')[1] ?? '')),
        ...(await savedRules({ run }, iptablesProgram[family], 'NARU-IPVS-')),
        ...links.filter(line => line.startsWith(device)),
      ]);
    },
    async damage() {
      await run('ipvsadm', ['-D', '-t', hostPort(labAddresses[family].clusterIp(10), 80)]);
      await run('ipset', ['flush']);
    },
    async plantForeign() {
      await run('ipvsadm', ['-A', '-t', foreign, '-s', 'rr']);
      await run('ipvsadm', ['-a', '-t', foreign, '-r', hostPort(host(98), 9), '-m']);
    },
    hasForeign: async () => (await run('ipvsadm', ['--save', '-n'])).includes(`-r ${hostPort(host(98), 9)}`),
  };
}

/** Without the counters. */
async function savedRules({ run }: Pick<LabNode, 'run'>, program: string, prefix: string): Promise<string[]> {
  const lines = (await run(`${program}-save`, [])).split('\n').filter(line => line.includes(prefix));
  return lines.map(line => line.replace(/\[\d+:\d+\]/, ''));
}
