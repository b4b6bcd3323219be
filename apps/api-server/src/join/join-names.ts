import { X509Certificate } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import { StatusError } from '@naru/foundation';
import type { Node } from '@naru/api';

/** What a node's serving certificate must not speak for. */
export interface Reserved {
  /** "10.96.0.0/16"; one of each family that the cluster has. */
  serviceRanges: readonly string[];
  /** Names and addresses of the control plane. */
  names: readonly string[];
  addresses: readonly string[];
}

interface Claim {
  nodeName: string;
  addresses: readonly string[];
}

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const maxNameLength = 253;
const clusterNames =
  /^(kubernetes|localhost)$|(^|\.)(svc|localhost|cluster\.local)$|\.svc\.|^svc\.|^kubernetes\.default(\.|$)/;

export function isNodeName(name: unknown): name is string {
  return typeof name === 'string' && name.length <= maxNameLength && subdomain.test(name);
}

/** The names and addresses that a certificate is for. */
export function namesOf(certificate: string): { names: string[]; addresses: string[] } {
  const entries = (new X509Certificate(certificate).subjectAltName ?? '').split(', ');
  const after = (prefix: string): string[] =>
    entries.filter(entry => entry.startsWith(prefix)).map(entry => entry.slice(prefix.length));
  return { names: after('DNS:'), addresses: after('IP Address:') };
}

/**
 * Refuses a certificate with which a node could pass for something else. The holder of a join token may join again
 * under the name of an existing Node, with whatever address it has now: machines are set up anew.
 */
export function checkClaim(claim: Claim, reserved: Reserved, nodes: Iterable<Node>): void {
  const { nodeName, addresses } = claim;
  if (clusterNames.test(nodeName) || reserved.names.includes(nodeName))
    throw invalid('nodeName', nodeName, 'is a name of the cluster itself');
  if (addresses.length === 0) return;
  const special = new BlockList();
  special.addSubnet('127.0.0.0', 8);
  special.addSubnet('0.0.0.0', 8);
  special.addAddress('::', 'ipv6');
  special.addAddress('::1', 'ipv6');
  special.addSubnet('224.0.0.0', 3);
  special.addSubnet('ff00::', 8, 'ipv6');
  const services = new BlockList();
  for (const range of reserved.serviceRanges) {
    const [base = '', bits = ''] = range.split('/');
    services.addSubnet(base, Number(bits), family(base));
  }
  const own = listOf(reserved.addresses);
  const others = [...nodes].filter(node => node.metadata?.name !== nodeName && isAlive(node));
  addresses.forEach((address, index) => {
    const field = `addresses[${index}]`;
    const isIn = (list: BlockList): boolean => list.check(address, family(address));
    if (isIn(special)) throw invalid(field, address, 'must not be a loopback, unspecified or multicast address');
    if (isIn(services)) throw invalid(field, address, `is in the service range ${reserved.serviceRanges.join(',')}`);
    if (isIn(own)) throw invalid(field, address, 'is an address of the control plane');
    for (const node of others)
      if (isIn(listOf(addressesOf(node))))
        throw invalid(field, address, `is an address of node "${node.metadata?.name ?? ''}"`);
  });
}

/** A node that has not been heard of for long does not keep its address from the machine that has it now. */
function isAlive({ status }: Node): boolean {
  return status?.conditions?.find(({ type }) => type === 'Ready')?.status !== 'Unknown';
}

function addressesOf({ status }: Node): string[] {
  return (status?.addresses ?? []).map(({ address }) => address);
}

function listOf(addresses: readonly string[]): BlockList {
  const list = new BlockList();
  for (const address of addresses) if (isIP(address) !== 0) list.addAddress(address, family(address));
  return list;
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

function invalid(field: string, value: string, why: string): StatusError {
  return new StatusError('Invalid', `${field}: Invalid value: "${value}": ${why}`);
}
