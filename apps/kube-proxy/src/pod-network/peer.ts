import type { Node } from '@naru/api';
import { isIpv4, isIpv4Range } from '../desired/candidates';

/** What the pod network knows of a node. */
export interface Peer {
  readonly name: string;
  /** Its InternalIP. */
  readonly nodeIp: string;
  /** The range of its pods' addresses, such as 10.244.1.0/24. */
  readonly podCidr: string;
}

/** Undefined until the node has both an address and a range. */
export function peerOf(node: Node): Peer | undefined {
  const { metadata, spec, status } = node;
  const nodeIp = status?.addresses?.find(({ type, address }) => type === 'InternalIP' && isIpv4(address))?.address;
  const podCidr = podCidrOf(node);
  if (!metadata?.name || nodeIp === undefined || podCidr === undefined || spec === undefined) return undefined;
  return { name: metadata.name, nodeIp, podCidr };
}

export function podCidrOf({ spec }: Node): string | undefined {
  const ranges = spec?.podCIDRs?.length ? spec.podCIDRs : [spec?.podCIDR ?? ''];
  return ranges.find(isIpv4Range);
}

export function samePeer(a: Peer, b: Peer): boolean {
  return a.nodeIp === b.nodeIp && a.podCidr === b.podCidr;
}

/** The first address of a range: 10.244.1.0 of 10.244.1.0/24. */
export function networkAddress(cidr: string): string {
  return cidr.slice(0, cidr.indexOf('/'));
}
