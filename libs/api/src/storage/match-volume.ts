import { compileLabelSelector } from '../label-selector';
import { compileNodeSelectorTerm } from '../node-selector';
import { quantityValue } from '../quantity';
import type { Node, PersistentVolume, PersistentVolumeClaim } from '../types';
import { isReservedFor, storageClassOf } from './claim';

/** May the volume be used on the node? One without affinity may anywhere. */
export function isReachableFrom(volume: PersistentVolume, node: Node): boolean {
  const terms = volume.spec?.nodeAffinity?.required?.nodeSelectorTerms;
  return !terms || terms.some(term => compileNodeSelectorTerm(term)(node));
}

export interface MatchOptions {
  /** Only volumes that can be used there. */
  node?: Node;
  /** Names of volumes that are taken. */
  excluded?: ReadonlySet<string>;
  /** The class waits for a pod: without a node only a volume that is reserved for the claim will do. */
  waitsForConsumer?: boolean;
}

/**
 * The volume that a claim should get: the one that is reserved for it, else the smallest that satisfies it. Source:
 * component-helpers' FindMatchingVolume.
 */
export function findMatchingVolume<T extends PersistentVolume>(
  claim: PersistentVolumeClaim,
  volumes: Iterable<T>,
  { node, excluded, waitsForConsumer = false }: MatchOptions = {},
): T | undefined {
  const requested = quantityValue(claim.spec?.resources?.requests?.['storage'] ?? '0');
  const selects = claim.spec?.selector ? compileLabelSelector(claim.spec.selector) : undefined;
  let best: { volume: T; size: number } | undefined;
  for (const volume of volumes) {
    const { metadata = {}, spec, status } = volume;
    if (metadata.deletionTimestamp || excluded?.has(metadata.name ?? '')) continue;
    const reserved = isReservedFor(volume, claim);
    if (spec?.claimRef && !reserved) continue;
    const size = quantityValue(spec?.capacity?.['storage'] ?? '0');
    if (size < requested || (spec?.volumeMode ?? 'Filesystem') !== (claim.spec?.volumeMode ?? 'Filesystem')) continue;
    const reachable = !node || isReachableFrom(volume, node);
    if (reserved) return reachable ? volume : undefined;
    if (!reachable || (!node && waitsForConsumer) || status?.phase !== 'Available') continue;
    if (selects && !selects(metadata.labels)) continue;
    if ((storageClassOf(volume) ?? '') !== (storageClassOf(claim) ?? '')) continue;
    if (!claim.spec?.accessModes?.every(mode => spec?.accessModes?.includes(mode))) continue;
    if (!best || size < best.size) best = { volume, size };
  }
  return best?.volume;
}
