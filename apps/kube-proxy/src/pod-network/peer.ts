import { isIP } from 'node:net';
import type { Node } from '@naru/api';
import { familyOf, parseBlock, type IpFamily } from '@naru/foundation';

/** What the pod network knows of a node. */
export interface Peer {
  readonly name: string;
  /** Its InternalIPs: one, or one of each family. */
  readonly nodeIps: readonly string[];
  /** The ranges of its pods' addresses, such as 10.244.1.0/24: one, or one of each family. */
  readonly podCidrs: readonly string[];
}

/** A part of a peer: what is found in the kernel does not say to whom it belongs. */
export type PeerTraces = Pick<Peer, 'nodeIps' | 'podCidrs'>;

/** Undefined until the node has both an address and a range. */
export function peerOf(node: Node): Peer | undefined {
  const { metadata, status } = node;
  const nodeIps = (status?.addresses ?? [])
    .filter(({ type, address }) => type === 'InternalIP' && isIP(address) !== 0)
    .map(({ address }) => address);
  const podCidrs = podCidrsOf(node);
  if (!metadata?.name || nodeIps.length === 0 || podCidrs.length === 0) return undefined;
  return { name: metadata.name, nodeIps, podCidrs };
}

export function podCidrsOf({ spec }: Node): string[] {
  const ranges = spec?.podCIDRs?.length ? spec.podCIDRs : [spec?.podCIDR ?? ''];
  return ranges.filter(range => parseBlock(range) !== undefined);
}

/** The first of a family among addresses or ranges. */
export function ofFamily(texts: readonly string[], family: IpFamily): string | undefined {
  return texts.find(text => familyOf(text) === family);
}

export function samePeer(a: Peer, b: Peer): boolean {
  return a.nodeIps.join() === b.nodeIps.join() && a.podCidrs.join() === b.podCidrs.join();
}

/** The first address of a range: 10.244.1.0 of 10.244.1.0/24. */
export function networkAddress(cidr: string): string {
  return cidr.slice(0, cidr.indexOf('/'));
}
