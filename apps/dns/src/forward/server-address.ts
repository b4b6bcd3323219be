import { isIP } from 'node:net';
import { UsageError } from '@naru/foundation';
import { nameOf, toLower, type Name } from '../wire/name';

export interface ServerAddress {
  host: string;
  port: number;
}

const dnsPort = 53;
/** As CoreDNS: more of them are a mistake. */
const maxServers = 15;

/** "10.0.0.1", "10.0.0.1:5353", "fd00::1" or "[fd00::1]:5353". Throws UsageError. */
export function parseServer(text: string): ServerAddress {
  const bracketed = /^\[(.+)\](?::(\d+))?$/.exec(text);
  const plain = bracketed ?? /^([^:]+):(\d+)$/.exec(text);
  const host = plain?.[1] ?? text;
  const port = plain?.[2] === undefined ? dnsPort : Number(plain[2]);
  if (isIP(host) === 0 || port < 1 || port > 65_535)
    throw new UsageError(`Cannot parse server "${text}": expected an IP address, with or without :PORT`);
  return { host, port };
}

/** The servers that a resolv.conf names; what is no address is passed over, as resolvers do. */
export function serversOf(resolvConf: string): ServerAddress[] {
  return [...resolvConf.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)]
    .map(match => ({ host: match[1] as string, port: dnsPort }))
    .filter(({ host }) => isIP(host) !== 0)
    .slice(0, maxServers);
}

/** `ZONE=SERVER` of every item; a zone that is named several times has several servers. Throws UsageError. */
export function parseStubDomains(items: string[]): Map<Name, ServerAddress[]> {
  const zones = new Map<Name, ServerAddress[]>();
  for (const item of items) {
    const [domain = '', server = ''] = item.split('=');
    const zone = nameOf(domain);
    if (zone === undefined || domain === '')
      throw new UsageError(`Cannot parse stub domain "${item}": expected ZONE=IP`);
    const key = toLower(zone);
    zones.set(key, [...(zones.get(key) ?? []), parseServer(server)]);
  }
  return zones;
}
