import type { Container, Pod } from '@naru/api';

/** Where a resource could come from. */
export interface Hint {
  /** NUMA nodes; undefined: anywhere. */
  nodes: readonly number[] | undefined;
  /** No smaller set of nodes could ever do. */
  preferred: boolean;
}

/** What knows where resources are. */
export interface HintProvider {
  /**
   * By resource, for a container or for all containers of a pod together: undefined has no preference, none at all means that there is
   * no way.
   */
  hints(pod: Pod, container: Container | undefined): Map<string, Hint[] | undefined>;
}

/** Every set of one or more of these, smaller ones first. */
export function combinations(nodes: readonly number[]): number[][] {
  const all: number[][] = [];
  for (let bits = 1; bits < 2 ** nodes.length; bits++) all.push(nodes.filter((_, index) => bits & (2 ** index)));
  return all.sort((a, b) => a.length - b.length);
}

/**
 * The hints for `wanted` of a resource: `all` counts what sets of NUMA nodes have, `free` what is left there. The sets that are as small as a
 * machine without any pods would allow are preferred.
 */
export function hintsFor(
  nodes: readonly number[],
  wanted: number,
  count: { all: (nodes: readonly number[]) => number; free: (nodes: readonly number[]) => number },
): Hint[] {
  const sets = combinations(nodes);
  const smallest = sets.find(each => count.all(each) >= wanted)?.length;
  return sets
    .filter(each => count.free(each) >= wanted)
    .map(each => ({ nodes: each, preferred: each.length === smallest }));
}
