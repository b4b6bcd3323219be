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

async function readLinks(run: CommandRunner): Promise<{ name: string; addresses: string[] }[]> {
  const links = parseJson<LinkJson>(await run('ip', ['-json', 'addr', 'show']));
  return links.map(({ ifname, addr_info: list = [] }) => ({
    name: ifname,
    // Addresses of a link mean something else on every link.
    addresses: list.flatMap(({ local, scope }) => (local === undefined || scope === 'link' ? [] : [local])),
  }));
}

/** All of our device's, of both families; undefined when there is no such device. */
export async function addressesOfDevice(run: CommandRunner): Promise<Set<string> | undefined> {
  const link = (await readLinks(run)).find(({ name }) => name === device);
  return link && new Set(link.addresses);
}

export function ofFamily(addresses: Iterable<string>, family: IpFamily): Set<string> {
  return new Set([...addresses].filter(address => isIpv6(address) === (family === 'IPv6')));
}

/** The addresses that node ports answer on. */
export async function readNodeIps(
  run: CommandRunner,
  { family, nodePortAddresses }: Pick<RuleConfig, 'family' | 'nodePortAddresses'>,
): Promise<string[]> {
  const links = (await readLinks(run)).filter(({ name }) => name !== device);
  const ips = ofFamily(
    links.flatMap(({ addresses }) => addresses),
    family,
  );
  const wanted = [...ips].filter(ip => ip !== '::1' && !ip.startsWith('127.'));
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
