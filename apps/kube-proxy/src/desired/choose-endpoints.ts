import type { Candidate } from './candidates';

export interface ChoiceOptions {
  ownNode: string;
  ownZone: string | undefined;
  /** Some traffic of the port has the policy Cluster. */
  usesCluster: boolean;
  /** Some traffic of the port has the policy Local. */
  usesLocal: boolean;
  /** spec.trafficDistribution. */
  distribution: string | undefined;
}

export interface Choice {
  cluster: Candidate[];
  local: Candidate[];
  /** Somebody serves the port, on this node or elsewhere. */
  any: boolean;
}

/**
 * Chooses endpoints as upstream's CategorizeEndpoints (pkg/proxy/topology.go): ready ones, narrowed to this node or
 * zone where the slices hint so; when there are none, those that still serve while they terminate.
 */
export function chooseEndpoints(candidates: Candidate[], options: ChoiceOptions): Choice {
  const ready = candidates.filter(candidate => candidate.ready);
  const ending = candidates.filter(candidate => !candidate.ready && candidate.serving && candidate.terminating);
  const cluster = options.usesCluster ? orElse(nearest(ready, options), ending) : [];
  const local = options.usesLocal ? orElse(ready.filter(isLocal), ending.filter(isLocal)) : [];
  return { cluster, local, any: ready.length > 0 || ending.length > 0 };
}

function isLocal(candidate: Candidate): boolean {
  return candidate.local;
}

function orElse<T>(first: T[], second: T[]): T[] {
  return first.length > 0 ? first : second;
}

/** Hints count only when every ready endpoint has them and some point here: else the load would fall on a few. */
function nearest(ready: Candidate[], { ownNode, ownZone, distribution }: ChoiceOptions): Candidate[] {
  if (ready.length === 0) return ready;
  const nodeHints = (candidate: Candidate): readonly string[] => {
    if (candidate.nodeHints.length > 0 || distribution !== 'PreferSameNode') return candidate.nodeHints;
    // What the EndpointSlice controller would hint.
    return candidate.nodeName === undefined ? [] : [candidate.nodeName];
  };
  if (ready.every(candidate => nodeHints(candidate).length > 0)) {
    const here = ready.filter(candidate => nodeHints(candidate).includes(ownNode));
    if (here.length > 0) return here;
  }
  if (ownZone !== undefined && ready.every(candidate => candidate.zoneHints.length > 0)) {
    const here = ready.filter(candidate => candidate.zoneHints.includes(ownZone));
    if (here.length > 0) return here;
  }
  return ready;
}
