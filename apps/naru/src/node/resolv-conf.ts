import { existsSync, readFileSync } from 'node:fs';

function nameservers(text: string): string[] {
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(match => match[1]!);
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/**
 * The resolv.conf for a node, or undefined when the machine's will do. A name server on the machine's loopback
 * (systemd-resolved, dnsmasq) cannot be reached from another network namespace: then `upstream`, the file in which
 * systemd-resolved lists the real servers, or what is left without the loopback ones.
 */
export function nodeResolvConf(machine: string, upstream: string): string | undefined {
  if (!nameservers(machine).some(isLoopback)) return undefined;
  const text = existsSync(upstream) ? readFileSync(upstream, 'utf8') : machine;
  return text
    .split('\n')
    .filter(line => !nameservers(line).some(isLoopback))
    .join('\n');
}
