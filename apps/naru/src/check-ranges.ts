import { UsageError, familyOf } from '@naru/foundation';
import { ipv6NodeNetwork, overlaps, parseCidr } from './address';
import { defaultRanges, type ClusterSettings } from './cluster';

const families = { ipv4: '4', ipv6: '6', dual: '4,6' };

/** The networks between the nodes: where they have IPv6 addresses, those are of a network that nobody chooses. */
function nodeNetworks({ nodeCidr, ipFamily }: ClusterSettings): string {
  return ipFamily === 'ipv4' ? nodeCidr : `${nodeCidr},${ipv6NodeNetwork(nodeCidr)}`;
}

function checkSyntax(flag: string, networks: string): void {
  try {
    networks.split(',').forEach(parseCidr);
  } catch (cause) {
    throw new UsageError(`flag --${flag}: ${(cause as Error).message}`, { cause });
  }
}

/**
 * Pods, Services and nodes must have ranges apart from each other, and the former two just of the families that the cluster
 * is to have. Throws a UsageError that names the flags.
 */
export function checkRanges(settings: ClusterSettings): ClusterSettings {
  const { ipFamily, nodeCidr, clusterCidr, serviceCidr } = settings;
  const chosen = { 'cluster-cidr': clusterCidr, 'service-cidr': serviceCidr, 'node-cidr': nodeCidr };
  for (const [flag, networks] of Object.entries(chosen)) checkSyntax(flag, networks);
  for (const [flag, key] of [
    ['cluster-cidr', 'clusterCidr'],
    ['service-cidr', 'serviceCidr'],
  ] as const)
    if (settings[key].split(',').map(familyOf).join() !== families[ipFamily])
      throw new UsageError(
        `flag --${flag}: ${settings[key]} does not fit --ip-family=${ipFamily}, as ${defaultRanges[ipFamily][key]} would`,
      );
  const used = Object.entries({ ...chosen, 'node-cidr': nodeNetworks(settings) });
  for (const [at, [flag, networks]] of used.entries())
    for (const [other, otherNetworks] of used.slice(at + 1))
      if (overlaps(networks, otherNetworks))
        throw new UsageError(`flags --${flag} and --${other}: ${networks} and ${otherNetworks} overlap`);
  return settings;
}
