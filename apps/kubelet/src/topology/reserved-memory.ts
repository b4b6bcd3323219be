import { canonicalQuantity, quantityValue } from '@naru/api';
import { hugePagesPrefix } from '../node/huge-pages';
import type { NumaMemory } from './numa-memory';

/** Memory of a NUMA node that is kept from pods. */
export interface MemoryReservation {
  numaNode: number;
  /** memory, hugepages-2Mi → quantity. */
  limits: Record<string, string>;
}

/** Parts of `0:memory=1Gi,hugepages-2Mi=4Mi`, as the flag has them: one with a number begins another NUMA node. */
export function parseReservedMemory(parts: readonly string[]): MemoryReservation[] {
  const reservations: MemoryReservation[] = [];
  for (const part of parts) {
    const [, node, name = '', value = ''] = /^(?:(\d+):)?([^=:]+)=(.+)$/.exec(part.trim()) ?? [];
    if (node !== undefined) reservations.push({ numaNode: Number(node), limits: {} });
    const last = reservations.at(-1);
    if (!last || name === '')
      throw new Error(`flag --reserved-memory: "${part}" is not of the form node:memory=quantity`);
    last.limits[name] = value;
  }
  return reservations;
}

/** What is wrong with the field reservedMemory. Source: pkg/kubelet/apis/config/validation/validation_reserved_memory.go. */
export function reservedMemoryProblems(reservations: unknown): string[] {
  if (!Array.isArray(reservations) || !reservations.every(isReservation))
    return ['reservedMemory: must be a list of a numaNode with its limits'];
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const { numaNode, limits } of reservations) {
    for (const [name, quantity] of Object.entries(limits)) {
      if (name !== 'memory' && !name.startsWith(hugePagesPrefix))
        problems.push(
          `the limit type "${name}" for NUMA node ${numaNode} is not supported, only [memory ${hugePagesPrefix}<HugePageSize>] is accepted`,
        );
      if (bytesOf(quantity) === 0)
        problems.push(`reserved memory may not be zero for NUMA node ${numaNode} and resource "${name}"`);
      if (Number.isNaN(bytesOf(quantity)))
        problems.push(`reserved memory "${quantity}" for NUMA node ${numaNode} and resource "${name}" is no quantity`);
      if (seen.has(`${numaNode} ${name}`))
        problems.push(`the reserved memory has a duplicate value for NUMA node ${numaNode} and resource "${name}"`);
      seen.add(`${numaNode} ${name}`);
    }
  }
  return problems;
}

function isReservation(value: unknown): value is MemoryReservation {
  const { numaNode, limits } = (value ?? {}) as Partial<Record<keyof MemoryReservation, unknown>>;
  if (!Number.isInteger(numaNode) || typeof limits !== 'object' || limits === null) return false;
  return Object.values(limits).every(each => typeof each === 'string');
}

/** NaN for what is none. */
function bytesOf(quantity: string): number {
  try {
    return quantityValue(quantity);
  } catch {
    return NaN;
  }
}

/**
 * By NUMA node and resource. `expected`: bytes of memory that are kept from pods on the whole; no huge pages are. Throws, in upstream's words,
 * when the two do not agree, as pods might then be promised memory that nobody can give them.
 */
export function reservedByNode(
  reservations: readonly MemoryReservation[],
  memory: readonly NumaMemory[],
  expected: number,
): Map<number, ReadonlyMap<string, number>> {
  const byNode = new Map<number, Map<string, number>>();
  const totals = new Map([['memory', 0]]);
  for (const { numaNode, limits } of reservations) {
    if (!memory.some(({ id }) => id === numaNode))
      throw new Error(
        `the reserved memory configuration references a NUMA node ${numaNode} that does not exist on this machine`,
      );
    const own = byNode.get(numaNode) ?? new Map<string, number>();
    for (const [name, quantity] of Object.entries(limits)) {
      own.set(name, quantityValue(quantity));
      totals.set(name, (totals.get(name) ?? 0) + quantityValue(quantity));
    }
    byNode.set(numaNode, own);
  }
  for (const [name, total] of totals) {
    const wanted = name === 'memory' ? expected : 0;
    if (total !== wanted)
      throw new Error(
        `the total amount "${printed(total)}" of type "${name}" is not equal to the value "${printed(wanted)}" determined by Node Allocatable feature`,
      );
  }
  if (totals.get('memory') === 0) throw new Error('[memorymanager] you should specify the system reserved memory');
  return byNode;
}

function printed(bytes: number): string {
  return bytes > 0 && bytes % 1024 === 0 ? canonicalQuantity(`${bytes / 1024}Ki`) : String(bytes);
}
