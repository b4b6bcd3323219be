import type { CommandRunner } from '../../command';
import { parseJson } from '../../pod-network/backend';

/** Upstream's: a device that sends nothing, whose addresses make packets to Services come in for this node. */
export const device = 'kube-ipvs0';

interface LinkJson {
  ifname: string;
  addr_info?: { local?: string; scope?: string }[];
}

async function readLinks(run: CommandRunner): Promise<LinkJson[]> {
  return parseJson<LinkJson>(await run('ip', ['-json', '-4', 'addr', 'show']));
}

/** Undefined when there is no such device. */
export async function addressesOfDevice(run: CommandRunner): Promise<Set<string> | undefined> {
  const links = parseJson<LinkJson>(await run('ip', ['-json', 'addr', 'show']));
  const link = links.find(({ ifname }) => ifname === device);
  return link && new Set(link.addr_info?.flatMap(({ local }) => (local?.includes('.') ? [local] : [])));
}

/** The addresses that node ports answer on. */
export async function readNodeIps(run: CommandRunner, ranges: readonly string[] | undefined): Promise<string[]> {
  const links = (await readLinks(run)).filter(({ ifname }) => ifname !== device);
  const ips = links.flatMap(({ addr_info: addresses = [] }) => addresses.map(({ local = '' }) => local));
  const wanted = ips.filter(ip => ip !== '' && !ip.startsWith('127.'));
  return [...new Set(wanted)].filter(ip => !ranges || ranges.some(range => contains(range, ip))).sort();
}

function contains(range: string, ip: string): boolean {
  const [address = '', length] = range.split('/');
  const size = 2 ** (32 - Number(length));
  return Math.floor(toNumber(address) / size) === Math.floor(toNumber(ip) / size);
}

function toNumber(ip: string): number {
  return ip.split('.').reduce((number, part) => number * 256 + Number(part), 0);
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
