import { isIpv6, type IpFamily } from '../../desired/ip-family';
import { isExternal, outsideIps, type ServicePort } from '../../desired/service-port';
import { masqueradeMark, type RuleConfig } from '../mode';
import { localnetRule } from '../iptables/skeleton';
import type { EntryChanges } from './shared-entries';

/**
 * Sets of ipset by name, with their types; those of IPv6 are named by kernelName. The rules name them and never change; what changes are
 * their entries.
 */
export const setTypes = {
  /** Cluster IPs and external addresses, all of them on our device. */
  'NARU-IPVS-IPS': 'hash:ip',
  /** What IPVS balances, on whichever address. */
  'NARU-IPVS-BALANCED': 'hash:ip,port',
  /** Cluster IPs and their ports: who is no pod may not be able to receive a pod's answer directly. */
  'NARU-IPVS-MASQ-OTHERS': 'hash:ip,port',
  /** What comes from outside to endpoints of any node, which must answer by way of this one. */
  'NARU-IPVS-MASQ-ALL': 'hash:ip,port',
  /** A pod that is given itself would answer itself directly, past the translation. */
  'NARU-IPVS-LOOPBACK': 'hash:ip,port,ip',
  'NARU-IPVS-REJECT': 'hash:ip,port',
  'NARU-IPVS-DROP': 'hash:ip,port',
  /** What only pods and this node may reach: the external policy is Local, and no endpoint is. */
  'NARU-IPVS-DROP-OTHERS': 'hash:ip,port',
  /** Load balancers' addresses with source ranges, and those ranges. */
  'NARU-IPVS-GUARDED': 'hash:ip,port',
  'NARU-IPVS-ALLOWED': 'hash:ip,port,net',
} as const;

export type SetName = keyof typeof setTypes;
/** The set of the addresses of our device. */
export const ownAddresses = 'NARU-IPVS-IPS' satisfies SetName;
export const setNames = Object.keys(setTypes) as SetName[];

/** A set of ipset has addresses of one family. */
function kernelName(name: SetName, family: IpFamily): string {
  return family === 'IPv4' ? name : name.replace('IPVS', 'IPVS6');
}

export function kernelNames(family: IpFamily): string[] {
  return setNames.map(name => kernelName(name, family));
}

/** The set of what is balanced, which tells the next process what was ours. */
export function balancedSet(family: IpFamily): string {
  return kernelName('NARU-IPVS-BALANCED', family);
}

const chains = { services: 'NARU-IPVS-SERVICES', postrouting: 'NARU-IPVS-POST', input: 'NARU-IPVS-INPUT' } as const;

/** Rules of ours in chains that are not ours. */
export const jumps = [
  { table: 'nat', chain: 'PREROUTING', to: chains.services },
  { table: 'nat', chain: 'OUTPUT', to: chains.services },
  { table: 'nat', chain: 'POSTROUTING', to: chains.postrouting },
  { table: 'filter', chain: 'INPUT', to: chains.input },
] as const;

/**
 * What IPVS does not do itself: refuse, mark what is to be masqueraded, keep ports that no Service has from leading to programs of the
 * node, which all our addresses are on. IPVS takes packets after the filter of what comes in for the node.
 */
export function renderRules({ clusterCidr, family }: RuleConfig): string {
  const match = (set: SetName, by: string, not = ''): string =>
    `-m set ${not}--match-set ${kernelName(set, family)} ${by}`;
  const mark = `-j MARK --or-mark ${masqueradeMark}`;
  const outside = `-m addrtype ! --src-type LOCAL${clusterCidr ? ` ! -s ${clusterCidr}` : ''}`;
  const others = clusterCidr ? `! -s ${clusterCidr}` : '-m addrtype --src-type LOCAL';
  // Answers come for ports that are no Service's too: when this node has asked, it did so from the cluster IP.
  const isNew = '-m conntrack --ctstate NEW';
  const unserved = `${match('NARU-IPVS-IPS', 'dst')} ${match('NARU-IPVS-BALANCED', 'dst,dst', '! ')}`;
  return `*nat
:${chains.services} - [0:0]
:${chains.postrouting} - [0:0]
-A ${chains.services} ${match('NARU-IPVS-MASQ-ALL', 'dst,dst')} ${mark}
-A ${chains.services} ${others} ${match('NARU-IPVS-MASQ-OTHERS', 'dst,dst')} ${mark}
-A ${chains.postrouting} ${match('NARU-IPVS-LOOPBACK', 'dst,dst,src')} -j MASQUERADE --random-fully
-A ${chains.postrouting} -m mark ! --mark ${masqueradeMark}/${masqueradeMark} -j RETURN
-A ${chains.postrouting} -j MARK --xor-mark ${masqueradeMark}
-A ${chains.postrouting} -j MASQUERADE --random-fully
COMMIT
*filter
:${chains.input} - [0:0]
${family === 'IPv4' ? `-A ${chains.input} ${isNew} ${localnetRule}\n` : ''}-A ${chains.input} ${isNew} ${match('NARU-IPVS-GUARDED', 'dst,dst')} ${match('NARU-IPVS-ALLOWED', 'dst,dst,src', '! ')} -j DROP
-A ${chains.input} ${isNew} ${match('NARU-IPVS-DROP', 'dst,dst')} -j DROP
-A ${chains.input} ${isNew} ${outside} ${match('NARU-IPVS-DROP-OTHERS', 'dst,dst')} -j DROP
-A ${chains.input} ${isNew} -p tcp ${match('NARU-IPVS-REJECT', 'dst,dst')} -j REJECT --reject-with tcp-reset
-A ${chains.input} ${isNew} ${match('NARU-IPVS-REJECT', 'dst,dst')} -j REJECT
-A ${chains.input} ${isNew} -p tcp ${unserved} -j REJECT --reject-with tcp-reset
-A ${chains.input} ${isNew} -p udp ${unserved} -j REJECT
-A ${chains.input} ${isNew} -p sctp ${unserved} -j REJECT
COMMIT
`;
}

/** The input of `iptables-restore --noflush` that removes chains to which nothing leads any more. */
export function renderRuleRemoval(): string {
  const remove = (name: string): string => `:${name} - [0:0]\n-X ${name}\n`;
  return `*nat\n${remove(chains.services)}${remove(chains.postrouting)}COMMIT\n*filter\n${remove(chains.input)}COMMIT\n`;
}

/** The input of `ipset restore` that makes the sets say `wanted`, whatever they say now; each at once. */
export function renderSets(wanted: Readonly<Record<SetName, Iterable<string>>>, family: IpFamily): string {
  const lines = setNames.flatMap(name => {
    const now = kernelName(name, family);
    const next = `${now}-next`;
    const type = `${setTypes[name]} family ${family === 'IPv4' ? 'inet' : 'inet6'}`;
    const create = (set: string): string => `create ${set} ${type} maxelem 1048576 -exist`;
    const adds = [...wanted[name]].map(entry => `add ${next} ${entry}`);
    return [create(now), create(next), `flush ${next}`, ...adds, `swap ${next} ${now}`, `destroy ${next}`];
  });
  return `${lines.join('\n')}\n`;
}

/** The input for the differences; empty when there are none. */
export function renderSetChanges(changes: Readonly<Record<SetName, EntryChanges>>, family: IpFamily): string {
  const lines: string[] = [];
  for (const name of setNames) {
    const { come, gone } = changes[name];
    for (const entry of come) lines.push(`add ${kernelName(name, family)} ${entry} -exist`);
    for (const entry of gone) lines.push(`del ${kernelName(name, family)} ${entry} -exist`);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** What a port contributes to the sets; the same may be told twice. */
export function* entriesOf(port: ServicePort, nodeIps: readonly string[]): Generator<[SetName, string]> {
  const { protocol, clusterIp, nodePort } = port;
  const at = (ip: string, number = port.port): string => `${ip},${protocol}:${number}`;
  const outside = outsideIps(port);
  for (const ip of [clusterIp, ...outside]) yield [ownAddresses, ip];
  const refusal = { reject: 'NARU-IPVS-REJECT', drop: 'NARU-IPVS-DROP', forward: 'NARU-IPVS-BALANCED' } as const;
  yield [refusal[port.internal], at(clusterIp)];
  if (port.internal === 'forward') yield ['NARU-IPVS-MASQ-OTHERS', at(clusterIp)];
  if (isExternal(port)) {
    const places = outside.map(ip => at(ip));
    if (nodePort !== undefined) places.push(...nodeIps.map(ip => at(ip, nodePort)));
    for (const place of places) {
      if (port.external === 'drop') {
        for (const set of ['BALANCED', 'DROP-OTHERS', 'MASQ-OTHERS'] as const) yield [`NARU-IPVS-${set}`, place];
      } else yield [refusal[port.external], place];
      if (port.externalPolicy === 'cluster') yield ['NARU-IPVS-MASQ-ALL', place];
    }
  }
  for (const { address, port: number, local } of [...port.clusterEndpoints, ...port.localEndpoints]) {
    if (local) yield ['NARU-IPVS-LOOPBACK', `${at(address, number)},${address}`];
  }
  if (port.sourceRanges.length === 0) return;
  for (const ip of port.loadBalancerIps) {
    yield ['NARU-IPVS-GUARDED', at(ip)];
    for (const range of [...port.sourceRanges, ip].flatMap(halves)) yield ['NARU-IPVS-ALLOWED', `${at(ip)},${range}`];
  }
}

/** ipset knows no range of everything. */
function halves(range: string): string[] {
  if (!range.endsWith('/0')) return [range];
  return isIpv6(range) ? ['::/1', '8000::/1'] : ['0.0.0.0/1', '128.0.0.0/1'];
}
