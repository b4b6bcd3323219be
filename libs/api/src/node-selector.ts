import type { Node, PodSpec } from './types';

type NodeSelectorTerm = NonNullable<
  NonNullable<NonNullable<PodSpec['affinity']>['nodeAffinity']>['requiredDuringSchedulingIgnoredDuringExecution']
>['nodeSelectorTerms'][number];
type Requirement = NonNullable<NodeSelectorTerm['matchExpressions']>[number];
export type NodeMatcher = (node: Node) => boolean;

function compileRequirement(
  { key, operator, values = [] }: Requirement,
  read: (node: Node, key: string) => string | undefined,
): NodeMatcher {
  const set = new Set(values);
  const bound = Number(values[0]);
  const compare = (holds: (value: number) => boolean): NodeMatcher => {
    return node => {
      const value = read(node, key);
      return value !== undefined && /^-?\d+$/.test(value) && Number.isInteger(bound) && holds(Number(value));
    };
  };
  switch (operator) {
    case 'In':
      return node => set.has(read(node, key) ?? '') && read(node, key) !== undefined;
    case 'NotIn':
      return node => read(node, key) === undefined || !set.has(read(node, key) ?? '');
    case 'Exists':
      return node => read(node, key) !== undefined;
    case 'DoesNotExist':
      return node => read(node, key) === undefined;
    case 'Gt':
      return compare(value => value > bound);
    case 'Lt':
      return compare(value => value < bound);
    default:
      return () => false;
  }
}

const readLabel = (node: Node, key: string): string | undefined => node.metadata?.labels?.[key];
const readField = (node: Node, key: string): string | undefined =>
  key === 'metadata.name' ? node.metadata?.name : undefined;

/** One term: all its requirements hold. As upstream, a term without any matches no node. */
export function compileNodeSelectorTerm(term: NodeSelectorTerm): NodeMatcher {
  const parts = [
    ...(term.matchExpressions ?? []).map(requirement => compileRequirement(requirement, readLabel)),
    ...(term.matchFields ?? []).map(requirement => compileRequirement(requirement, readField)),
  ];
  return parts.length === 0 ? () => false : node => parts.every(matches => matches(node));
}

/** What a pod demands of its node: nodeSelector and required node affinity. Absent when it demands nothing. */
export function compileNodeDemand(spec: PodSpec | undefined): NodeMatcher | undefined {
  const wanted = Object.entries(spec?.nodeSelector ?? {});
  const required = spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (wanted.length === 0 && !required) return undefined;
  const terms = required?.nodeSelectorTerms.map(compileNodeSelectorTerm);
  return node =>
    wanted.every(([key, value]) => node.metadata?.labels?.[key] === value) &&
    (!terms || terms.some(matches => matches(node)));
}
