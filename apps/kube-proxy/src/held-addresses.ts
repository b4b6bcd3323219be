import type { CommandRunner } from './command';
import { hostRange, isIpv6, type IpFamily } from './desired/ip-family';
import { parseJson } from './pod-network/backend';

/** An address of a Service that is on a link of this node. */
export interface HeldAddress {
  link: string;
  address: string;
}

interface LinkJson {
  ifname?: string;
  addr_info?: { local?: string; label?: string; metric?: number }[];
}

/** Of the routes to our IPv6 addresses; they are only to this machine, and no other's number. */
const metric = 7878;

/**
 * Those that holdLine made, on `link` or on all. IPv4 addresses are known by their label. IPv6 has no labels: there it is the metric.
 */
export async function readHeld(run: CommandRunner, family: IpFamily, link?: string): Promise<HeldAddress[]> {
  const where = link === undefined ? [] : ['dev', link];
  const links = parseJson<LinkJson>(
    await run('ip', ['-json', family === 'IPv4' ? '-4' : '-6', 'addr', 'show', ...where]),
  );
  return links.flatMap(({ ifname = '', addr_info: list = [] }) =>
    list.flatMap(({ local, label, metric: its }) => {
      const ours = family === 'IPv4' ? label === labelOf(ifname) : its === metric;
      return ours && local !== undefined ? [{ link: ifname, address: local }] : [];
    }),
  );
}

/** For `ip -batch`. */
export function holdLine({ link, address }: HeldAddress): string {
  // Deprecated: the kernel is not to choose it as the source of what this node sends.
  const mark = isIpv6(address) ? `metric ${metric} nodad preferred_lft 0` : `label ${labelOf(link)}`;
  return `addr add ${hostRange(address)} dev ${link} ${mark}`;
}

export function releaseLine({ link, address }: HeldAddress): string {
  return `addr del ${hostRange(address)} dev ${link}`;
}

function labelOf(link: string): string {
  return `${link}:naru`;
}

/** Makes `link` hold exactly `wanted`, of one family, and answers what has come and gone. */
export async function holdExactly(
  run: CommandRunner,
  wanted: ReadonlySet<string>,
  { link, family }: { link: string; family: IpFamily },
): Promise<{ coming: string[]; going: string[] }> {
  const held = new Set((await readHeld(run, family, link)).map(({ address }) => address));
  const coming = [...wanted].filter(address => !held.has(address));
  const going = [...held].filter(address => !wanted.has(address));
  const lines = [
    ...coming.map(address => holdLine({ link, address })),
    ...going.map(address => releaseLine({ link, address })),
  ];
  if (lines.length > 0) await run('ip', ['-batch', '-'], `${lines.join('\n')}\n`);
  return { coming, going };
}
