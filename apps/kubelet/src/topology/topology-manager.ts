import type { Container, Pod } from '@naru/api';
import type { Hint, HintProvider } from './hints';

export type TopologyPolicy = 'none' | 'best-effort' | 'restricted' | 'single-numa-node';

export interface TopologyManagerDeps {
  policy: TopologyPolicy;
  scope: 'container' | 'pod';
  /** NUMA nodes of the machine. */
  nodes: readonly number[];
  providers: readonly HintProvider[];
}

const anywhere: Hint = { nodes: undefined, preferred: true };
const nowhere: Hint = { nodes: undefined, preferred: false };

/** Brings what several managers prefer to one set of NUMA nodes. Source: pkg/kubelet/cm/topologymanager. */
export class TopologyManager {
  /** Pod → container → NUMA nodes. */
  private readonly settled = new Map<string, Map<string, Hint>>();

  constructor(private readonly deps: TopologyManagerDeps) {}

  /** Settles where a container's resources come from; false: the policy does not take it as it would have to be. */
  align(pod: Pod, container: Container): boolean {
    const { policy, scope, providers } = this.deps;
    if (policy === 'none') return true;
    const uid = pod.metadata?.uid ?? '';
    const lists = providers.flatMap(provider => [
      ...provider.hints(pod, scope === 'pod' ? undefined : container).values(),
    ]);
    const best = this.merge(lists.map(list => (list === undefined ? [anywhere] : list.length > 0 ? list : [nowhere])));
    if (policy !== 'best-effort' && !best.preferred) return false;
    const containers = this.settled.get(uid) ?? new Map<string, Hint>();
    this.settled.set(uid, containers.set(container.name, best));
    return true;
  }

  /** Where a container's resources come from; undefined when nobody asked. */
  hint(uid: string, container: string): Hint | undefined {
    return this.settled.get(uid)?.get(container);
  }

  /** The NUMA nodes of that; undefined: any. */
  affinity(uid: string, container: string): readonly number[] | undefined {
    return this.hint(uid, container)?.nodes;
  }

  release(uid: string): void {
    this.settled.delete(uid);
  }

  /** The best of all ways to choose one hint of each resource. */
  private merge(given: Hint[][]): Hint {
    const { policy, nodes } = this.deps;
    const single = policy === 'single-numa-node';
    const fits = (hint: Hint): boolean => hint.preferred && (hint.nodes === undefined || hint.nodes.length === 1);
    const lists = single ? given.map(list => list.filter(fits)) : given;
    // As few nodes as the resource that needs most of them can do with.
    const needed = Math.max(...lists.map(list => Math.min(...list.map(each => (each.nodes ?? nodes).length))), 0);
    let best: Hint | undefined;
    for (const choice of choices(lists)) {
      const candidate = this.intersect(choice);
      if (candidate.nodes?.length !== 0 && (best === undefined || isBetter(candidate, best, needed))) best = candidate;
    }
    best ??= { nodes, preferred: false };
    // All nodes are no preference.
    return best.nodes?.length === nodes.length ? { ...best, nodes: undefined } : best;
  }

  private intersect(choice: readonly Hint[]): Hint {
    const sets = choice.flatMap(hint => (hint.nodes ? [hint.nodes] : []));
    const same = sets.every(set => set.join() === sets[0]?.join());
    return {
      nodes: this.deps.nodes.filter(node => sets.every(set => set.includes(node))),
      preferred: same && choice.every(hint => hint.preferred),
    };
  }
}

function* choices(lists: readonly Hint[][]): Generator<Hint[]> {
  const [first, ...rest] = lists;
  if (first === undefined) yield [];
  else for (const hint of first) for (const others of choices(rest)) yield [hint, ...others];
}

/** Fewer nodes, or lower ones. */
function isNarrower(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return a.length < b.length;
  const weight = (nodes: readonly number[]): number => nodes.reduce((sum, node) => sum + 2 ** node, 0);
  return weight(a) < weight(b);
}

function isBetter(candidate: Hint, best: Hint, needed: number): boolean {
  if (candidate.preferred !== best.preferred) return candidate.preferred;
  const [a = [], b = []] = [candidate.nodes, best.nodes];
  if (candidate.preferred || b.length > needed) return isNarrower(a, b);
  // Of two that are too narrow for some resource, the one that comes closest.
  if (b.length === needed) return a.length === needed && isNarrower(a, b);
  if (a.length > needed) return false;
  return a.length === b.length ? isNarrower(a, b) : a.length > b.length;
}
