import { hostPort } from '@naru/foundation';
import { splitHostPort } from '../../desired/ip-family';
import {
  endpointKey,
  endpointsFor,
  outsideIps,
  type Policy,
  type Protocol,
  type ServicePort,
} from '../../desired/service-port';

export const schedulers = ['rr', 'lc', 'dh', 'sh', 'sed', 'nq'] as const;
export type Scheduler = (typeof schedulers)[number];

/** One address and port that IPVS balances. */
export interface VirtualServer {
  readonly protocol: Protocol;
  readonly address: string;
  readonly port: number;
  /** As ipvsadm takes them: `-s rr -p 10800`. */
  readonly options: string;
  /** `IP:PORT`, `[IP]:PORT` → weight. 0: no new connections, the old ones go on. */
  readonly reals: ReadonlyMap<string, number>;
}

const flags: Record<Protocol, string> = { tcp: '-t', udp: '-u', sctp: '--sctp-service' };

/** The words by which ipvsadm names it: `-t 10.96.0.10:80`. */
export function nameOf({ protocol, address, port }: Pick<VirtualServer, 'protocol' | 'address' | 'port'>): string {
  return `${flags[protocol]} ${hostPort(address, port)}`;
}

/** `nodeIps`: the addresses of this node that node ports answer on. */
export function virtualServersOf(port: ServicePort, scheduler: Scheduler, nodeIps: readonly string[]): VirtualServer[] {
  const { protocol, affinitySeconds } = port;
  const options = `-s ${scheduler}${affinitySeconds === undefined ? '' : ` -p ${affinitySeconds}`}`;
  const balance = (address: string, number: number, policy: Policy): VirtualServer => {
    const reals = new Map(endpointsFor(port, policy).map(endpoint => [endpointKey(endpoint), 1]));
    return { protocol, address, port: number, options, reals };
  };
  const servers: VirtualServer[] = [];
  if (port.internal === 'forward') servers.push(balance(port.clusterIp, port.port, port.internalPolicy));
  if (port.external === 'reject') return servers;
  // With nobody here to serve them pods and the node are led elsewhere, as upstream; a rule drops what others send.
  const policy = port.external === 'drop' ? 'cluster' : port.externalPolicy;
  for (const ip of outsideIps(port)) servers.push(balance(ip, port.port, policy));
  const { nodePort } = port;
  if (nodePort !== undefined) servers.push(...nodeIps.map(ip => balance(ip, nodePort, policy)));
  return servers;
}

/** What `ipvsadm --save --numeric` prints, by name. */
export function parseSaved(text: string): Map<string, VirtualServer> {
  const found = new Map<string, VirtualServer & { reals: Map<string, number> }>();
  for (const line of text.split('\n')) {
    const [command, flag, place = '', ...words] = line.trim().split(' ');
    const protocol = (Object.keys(flags) as Protocol[]).find(name => flags[name] === flag);
    if (!protocol) continue;
    const { address, port } = splitHostPort(place);
    const name = nameOf({ protocol, address, port });
    if (command === '-A') {
      found.set(name, { protocol, address, port, options: words.join(' '), reals: new Map() });
    } else if (command === '-a') {
      const { '-r': real, '-w': weight } = pairs(words);
      if (real) found.get(name)?.reals.set(real, Number(weight));
    }
  }
  return found;
}

function pairs(words: readonly string[]): Record<string, string | undefined> {
  return Object.fromEntries(words.flatMap((word, index) => (/^-[rw]$/.test(word) ? [[word, words[index + 1]]] : [])));
}

/** Real servers that get no new connections and go when they have none. */
export class LeavingReals {
  private readonly reals = new Map<string, { name: string; real: string }>();

  add(name: string, real: string): void {
    this.reals.set(`${name} ${real}`, { name, real });
  }

  /** True when it was leaving. */
  delete(name: string, real: string): boolean {
    return this.reals.delete(`${name} ${real}`);
  }

  /** Those of virtual servers that are gone have gone with them. */
  keepOnly(servers: ReadonlyMap<string, unknown>): void {
    for (const [key, { name }] of this.reals) if (!servers.has(name)) this.reals.delete(key);
  }

  /** The virtual servers that have some. */
  get names(): ReadonlySet<string> {
    return new Set([...this.reals.values()].map(({ name }) => name));
  }

  /** Takes out those that are idle, and answers the lines that take them out of the kernel. `idle`: as parseIdle answers. */
  takeIdle(idle: ReadonlySet<string>): string[] {
    const found = [...this.reals].filter(([key]) => idle.has(key));
    for (const [key] of found) this.reals.delete(key);
    return found.map(([, { name, real }]) => `-d ${name} -r ${real}`);
  }
}

/**
 * The input of `ipvsadm --restore` from one state to the next. A real server of TCP or SCTP that leaves is first given no
 * new connections, so that those it has can end, and is `leaving`, from where it may come back. One of UDP goes at once, and its flows with it.
 */
export function renderChanges(
  before: ReadonlyMap<string, VirtualServer>,
  after: ReadonlyMap<string, VirtualServer>,
  leaving: LeavingReals,
): string[] {
  const lines: string[] = [];
  for (const name of before.keys()) if (!after.has(name)) lines.push(`-D ${name}`);
  for (const [name, server] of after) {
    const old = before.get(name);
    if (!old) lines.push(`-A ${name} ${server.options}`);
    else if (old.options !== server.options) lines.push(`-E ${name} ${server.options}`);
    for (const [real, weight] of old?.reals ?? []) {
      if (server.reals.has(real)) continue;
      if (server.protocol === 'udp') lines.push(`-d ${name} -r ${real}`);
      else {
        if (weight !== 0) lines.push(`-e ${name} -r ${real} -m -w 0`);
        leaving.add(name, real);
      }
    }
    for (const [real, weight] of server.reals) {
      const has = old?.reals.get(real);
      const isThere = leaving.delete(name, real) || has !== undefined;
      if (has !== weight) lines.push(`${isThere ? '-e' : '-a'} ${name} -r ${real} -m -w ${weight}`);
    }
  }
  return lines;
}

/** The real servers without connections, as `NAME REAL`, from what `ipvsadm --list --numeric` prints. */
export function parseIdle(text: string): Set<string> {
  const idle = new Set<string>();
  let name = '';
  for (const line of text.split('\n')) {
    const words = line.trim().split(/\s+/);
    const protocol = words[0]?.toLowerCase() as Protocol;
    if (protocol in flags && words[1]) name = `${flags[protocol]} ${words[1]}`;
    const [arrow, real, , , active, inactive] = words;
    if (arrow === '->' && active === '0' && inactive === '0') idle.add(`${name} ${real}`);
  }
  return idle;
}
