import type { ASTNode } from '@marcbachmann/cel-js';

/** Upstream's budget of one object's rules, in steps. */
export const objectBudget = 10_000_000;
/** Below this many estimated steps a rule runs without a watchdog. */
export const watchdogThreshold = 100_000;
/** Additions inside comprehensions: each may double what the one before made. */
const maxGrowth = 16;

export interface RuleCost {
  nodes: number;
  /** How deep comprehensions nest or chain: the exponent of the size of the data. */
  depth: number;
}

const comprehensions = new Set(['all', 'exists', 'exists_one', 'existsOne', 'map', 'filter']);

function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

export function childrenOf({ args }: ASTNode): ASTNode[] {
  if (isNode(args)) return [args];
  if (!Array.isArray(args)) return [];
  return (args as unknown[]).flat(2).filter(isNode);
}

/** @throws Error when the rule can never be afforded. */
export function costOf(root: ASTNode): RuleCost {
  let nodes = 0;
  let growth = 0;
  const walk = (node: ASTNode, level: number): number => {
    nodes++;
    const isLoop = node.op === 'rcall' && comprehensions.has(node.args[0]);
    if (node.op === '+' && level > 0) growth++;
    if ((node.op === 'rcall' || node.op === 'call') && node.args[0] === 'bind') level++;
    const inner = level + (isLoop ? 1 : 0);
    let deepest = inner;
    for (const child of childrenOf(node)) deepest = Math.max(deepest, walk(child, inner));
    return deepest;
  };
  const depth = walk(root, 0);
  if (growth > maxGrowth || depth > 8)
    throw new Error(
      'estimated rule cost exceeds budget by factor of more than 100x (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)',
    );
  return { nodes, depth };
}

/** Steps that a rule may take over data of which the largest collection has `largest` members. */
export function estimateSteps({ nodes, depth }: RuleCost, largest: number): number {
  return nodes * Math.max(1, largest) ** depth;
}

/** The size of the largest list, object or (in 64ths, as splitting makes lists of them) string in a value. */
export function largestCollection(value: unknown): number {
  if (typeof value === 'string') return value.length >> 6;
  if (typeof value !== 'object' || value === null) return 0;
  const children = Object.values(value);
  let largest = children.length;
  for (const child of children) largest = Math.max(largest, largestCollection(child));
  return largest;
}
