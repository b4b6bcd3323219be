import { existsSync, readFileSync, writeFileSync } from 'node:fs';

/**
 * Forwarding of IPv6. Linux has one switch for the whole machine, `all.forwarding`, which makes a router of it: not the
 * launcher's to turn. Since 6.17 it has one for each interface that packets come in by, `force_forwarding`: ours is turned on, the
 * others are the user's as well.
 */
const folder = '/proc/sys/net/ipv6/conf';

function fileOf(name: string, setting: string): string {
  return `${folder}/${name}/${setting}`;
}

function valueOf(name: string, setting: string): string {
  const file = fileOf(name, setting);
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
}

/** As the command `sysctl` takes it: the dots of an interface's name are slashes there. */
function assignment(name: string, setting: string, value: number): string {
  return `net.ipv6.conf.${name.replaceAll('.', '/')}.${setting}=${value}`;
}

/** Has packets of IPv6 forwarded that come in by an interface of our own, where the kernel can do that for one alone. */
export function forwardIpv6From(ownInterface: string): void {
  const file = fileOf(ownInterface, 'force_forwarding');
  if (existsSync(file)) writeFileSync(file, '1');
}

/**
 * What the user would have to set, in the notation of `sysctl`, for nodes to get out by IPv6 and for answers to come back by
 * `uplinks`. Empty when they do, and when no interface leads outside by IPv6.
 */
export function missingIpv6Switches(uplinks: string[]): string[] {
  if (valueOf('all', 'forwarding') !== '0') return [];
  if (existsSync(fileOf('all', 'force_forwarding')))
    return uplinks
      .filter(name => valueOf(name, 'force_forwarding') === '0')
      .map(name => assignment(name, 'force_forwarding', 1));
  if (uplinks.length === 0) return [];
  // A router hears no advertisements of routers, and would lose its own way out, unless it is told to.
  const listening = uplinks.filter(name => valueOf(name, 'accept_ra') === '1');
  return [...listening.map(name => assignment(name, 'accept_ra', 2)), assignment('all', 'forwarding', 1)];
}
