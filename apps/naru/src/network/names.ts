import { createHash } from 'node:crypto';
import type { Cluster } from '../cluster';

/** The network namespace that holds the bridge between the nodes: apart from the host's rules (Docker's, above all). */
export function bridgeNamespace(cluster: Cluster): string {
  return `naru-${cluster.name}`;
}

/** A dot, which no cluster name has, keeps namespaces of nodes apart from those of other clusters. */
export function nodeNamespace(cluster: Cluster, node: string): string {
  return `naru-${cluster.name}.${node}`;
}

/** The machine's end of its cable to the bridge. Interface names have at most 15 characters, so the name is hashed. */
export function hostInterface(cluster: Cluster): string {
  return `naru-${createHash('sha256').update(cluster.name).digest('hex').slice(0, 8)}`;
}

/** The bridge's end of the cable to a node, by the node's address. */
export function portName(address: string): string {
  const [, , third = '0', fourth = '0'] = address.split('.');
  return `n-${third}-${fourth}`;
}

/**
 * The hardware address of a node's interface, by its IPv4 address, locally administered: a node that comes back has the one that its
 * neighbours remember. To find out about another takes them half a minute.
 */
export function hardwareAddress(address: string): string {
  const bytes = address.split('.').map(part => Number(part).toString(16).padStart(2, '0'));
  return ['02', '4e', ...bytes].join(':');
}

/** Name of the nft tables, one a family, with this cluster's rules on the machine. */
export function tableName(cluster: Cluster): string {
  return `naru-${cluster.name}`;
}
