import {
  compileLabelSelector,
  compileNodeDemand,
  findUntoleratedTaint,
  type Node,
  type NodeMatcher,
  type Pod,
} from '@naru/api';
import type { PodSelection } from '../cache/pod-counters';
import type { Handle } from '../framework/types';
import { defaultSelector, type DefaultConstraint } from './default-spread';

/** A topology spread constraint of one pod, compiled. */
export interface SpreadConstraint {
  readonly topologyKey: string;
  readonly maxSkew: number;
  readonly minDomains: number;
  readonly selection: PodSelection;
  /** Whether a node takes part: nodeAffinityPolicy (default Honor) and nodeTaintsPolicy (default Ignore). Undefined: all do. */
  readonly includes: NodeMatcher | undefined;
}

function selectionOf(pod: Pod, selector: Parameters<typeof compileLabelSelector>[0]): PodSelection {
  const matches = compileLabelSelector(selector);
  const namespace = pod.metadata?.namespace;
  return {
    id: `spread ${JSON.stringify([namespace, selector])}`,
    matches: other => other.metadata?.namespace === namespace && matches(other.metadata?.labels),
    countTerminating: false,
  };
}

function inclusion(
  pod: Pod,
  affinityPolicy: string | undefined,
  taintsPolicy: string | undefined,
): NodeMatcher | undefined {
  const demand = affinityPolicy === 'Ignore' ? undefined : compileNodeDemand(pod.spec);
  const untainted = (node: Node): boolean =>
    !findUntoleratedTaint(node.spec?.taints, pod.spec?.tolerations, ['NoSchedule', 'NoExecute']);
  if (taintsPolicy === 'Honor') return node => (!demand || demand(node)) && untainted(node);
  return demand;
}

/** The pod's own constraints of one kind. */
export function explicitConstraints(pod: Pod, whenUnsatisfiable: string): SpreadConstraint[] {
  return (pod.spec?.topologySpreadConstraints ?? [])
    .filter(constraint => constraint.whenUnsatisfiable === whenUnsatisfiable)
    .map(raw => ({
      topologyKey: raw.topologyKey,
      maxSkew: raw.maxSkew,
      minDomains: raw.minDomains ?? 1,
      selection: selectionOf(pod, raw.labelSelector),
      includes: inclusion(pod, raw.nodeAffinityPolicy, raw.nodeTaintsPolicy),
    }));
}

/** The profile's defaults, for pods without constraints of their own that a controller or Service holds together. */
export function defaultConstraints(
  pod: Pod,
  defaults: readonly DefaultConstraint[],
  whenUnsatisfiable: DefaultConstraint['whenUnsatisfiable'],
  handle: Handle,
): SpreadConstraint[] {
  const wanted = defaults.filter(constraint => constraint.whenUnsatisfiable === whenUnsatisfiable);
  const selector = wanted.length > 0 ? defaultSelector(pod, handle) : undefined;
  if (!selector) return [];
  const selection = selectionOf(pod, selector);
  const includes = inclusion(pod, undefined, undefined);
  return wanted.map(({ topologyKey, maxSkew }) => ({ topologyKey, maxSkew, minDomains: 1, selection, includes }));
}
