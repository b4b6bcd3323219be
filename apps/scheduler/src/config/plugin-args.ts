import { maxNodeScore } from '../framework/types';
import type { ConfigNode } from './config-node';

/** A resource and how much it counts. */
export interface ResourceWeight {
  name: string;
  weight: number;
}

/** The fields of a plugin's arguments beside apiVersion and kind, which every such object may carry. */
export function argumentFields<const K extends string>(args: ConfigNode, ...names: K[]): Record<K, ConfigNode> {
  return args.fields<K | 'apiVersion' | 'kind'>('apiVersion', 'kind', ...names);
}

export const cpuAndMemory: readonly ResourceWeight[] = [
  { name: 'cpu', weight: 1 },
  { name: 'memory', weight: 1 },
];

export function readResources(node: ConfigNode): readonly ResourceWeight[] {
  if (node.items().length === 0) return cpuAndMemory;
  const seen = new Set<string>();
  return node.items().map(item => {
    const fields = item.fields('name', 'weight');
    const name = fields.name.text();
    if (seen.has(name)) fields.name.fail(`Duplicate value: "${name}"`);
    seen.add(name);
    // 0 is what upstream reads where nothing was written.
    return { name, weight: fields.weight.integer({ min: 0, max: 100, fallback: 1 }) || 1 };
  });
}

/** A score for how full a resource is: straight lines between points. */
export type Shape = readonly { utilization: number; score: number }[];

const maxShapeScore = 10;

/** Points by increasing utilization (0 to 100); their scores (0 to 10) become 0 to 100. */
export function readShape(node: ConfigNode): Shape {
  const points = node.items();
  if (points.length === 0) node.fail('Required value: at least one point must be specified');
  let before = -1;
  return points.map(point => {
    const { utilization, score } = point.fields('utilization', 'score');
    const x = utilization.integer({ min: 0, max: 100, fallback: 0 });
    if (x <= before) utilization.fail('utilization values must be sorted in increasing order');
    before = x;
    const y = score.integer({ min: 0, max: maxShapeScore, fallback: 0 });
    return { utilization: x, score: (y * maxNodeScore) / maxShapeScore };
  });
}

/** The score of a utilization, a number from 0 to 100. */
export function scoreOn(shape: Shape, utilization: number): number {
  let before: Shape[number] | undefined;
  for (const point of shape) {
    if (utilization <= point.utilization) {
      if (!before) return point.score;
      const part = (utilization - before.utilization) / (point.utilization - before.utilization);
      return before.score + Math.trunc((point.score - before.score) * part);
    }
    before = point;
  }
  return before?.score ?? 0;
}
