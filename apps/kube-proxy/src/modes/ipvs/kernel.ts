import type { CommandRunner } from '../../command';
import { isIpv6, isWithin, type IpFamily } from '../../desired/ip-family';
import { parseJson } from '../../pod-network/backend';
import type { RuleConfig } from '../mode';

/** Upstream's: a device that sends nothing, whose addresses make packets to Services come in for this node. */
export const device = 'kube-ipvs0';

interface LinkJson {
  ifname: string;
  addr_info?: { local?: string; scope?: string }[];
}

/** A network device and its addresses, of both families. */
export interface Link {
  name: string;
  addresses: readonly string[];
}

export async function readLinks(run: CommandRunner): Promise<Link[]> {
  const links = parseJson<LinkJson>(await run('ip', ['-json', 'addr', 'show']));
  return links.map(({ ifname, addr_info: list = [] }) => ({
    name: ifname,
    // Addresses of a link mean something else on every link.
    addresses: list.flatMap(({ local, scope }) => (local === undefined || scope === 'link' ? [] : [local])),
  }));
}

/** All of our device's; undefined when there is no such device. */
export function addressesOfDevice(links: readonly Link[]): Set<string> | undefined {
  const link = links.find(({ name }) => name === device);
  return link && new Set(link.addresses);
}

export function ofFamily(addresses: Iterable<string>, family: IpFamily): Set<string> {
  return new Set([...addresses].filter(address => isIpv6(address) === (family === 'IPv6')));
}

/** The addresses that node ports answer on. */
export function nodeIpsOf(
  links: readonly Link[],
  { family, nodePortAddresses }: Pick<RuleConfig, 'family' | 'nodePortAddresses'>,
): string[] {
  const addresses = links.flatMap(({ name, addresses: its }) => (name === device ? [] : its));
  const wanted = [...ofFamily(addresses, family)].filter(ip => ip !== '::1' && !ip.startsWith('127.'));
  return wanted.filter(ip => !nodePortAddresses || isWithin(ip, nodePortAddresses)).sort();
}

/**
 * `conntrack`: what IPVS translates is tracked, so that it can be masqueraded and its answers let through. `expire_*`: clients of an
 * endpoint that has gone are given another one.
 */
const sysctls = { conntrack: 1, expire_nodest_conn: 1, expire_quiescent_template: 1 };

export async function setUpKernel(run: CommandRunner): Promise<void> {
  const lines = [
    `ip link show ${device} >/dev/null 2>&1 || ip link add ${device} type dummy`,
    `ip link set ${device} up`,
  ];
  for (const [name, value] of Object.entries(sysctls)) lines.push(`echo ${value} > /proc/sys/net/ipv4/vs/${name}`);
  // Listing loads IPVS where it is a module; its settings are there only then.
  await run('sh', ['-e', '-c', ['ipvsadm --list --numeric >/dev/null', ...lines].join('\n')]);
}
