import { quantityValue } from '@naru/api';
import { parseDuration } from '../config/duration';

export const signals = [
  'memory.available',
  'nodefs.available',
  'nodefs.inodesFree',
  'imagefs.available',
  'imagefs.inodesFree',
  'pid.available',
] as const;

/** What a threshold is about. `allocatableMemory.available` follows from `memory.available`: the pods' own share of the memory. */
export type Signal = (typeof signals)[number] | 'allocatableMemory.available';

/** Bytes, inodes or processes; or a share of the whole. */
export type Amount = { amount: number } | { share: number };

export interface Threshold {
  signal: Signal;
  below: Amount;
  /** 0 is a hard threshold. */
  graceMs: number;
  minimumReclaim?: Amount;
}

export interface Observation {
  available: number;
  capacity: number;
}

export type Observations = ReadonlyMap<Signal, Observation>;

/** The part of a KubeletConfiguration that says when to evict. */
export interface ThresholdSettings {
  evictionHard: Readonly<Record<string, string>>;
  evictionSoft: Readonly<Record<string, string>>;
  evictionSoftGracePeriod: Readonly<Record<string, string>>;
  evictionMinimumReclaim: Readonly<Record<string, string>>;
  enforceNodeAllocatable: readonly string[];
}

function parseAmount(text: string): Amount {
  const share = /^(\d+(?:\.\d+)?)%$/.exec(text)?.[1];
  if (share === undefined) return { amount: quantityValue(text) };
  if (Number(share) > 100) throw new Error(`eviction percentage threshold ${text} must be <= 100%`);
  return { share: Number(share) / 100 };
}

function parseSignal(name: string): Signal | undefined {
  // Upstream accepts these and goes by the node's or the images' file system instead.
  if (name === 'containerfs.available' || name === 'containerfs.inodesFree') return undefined;
  if (!(signals as readonly string[]).includes(name)) throw new Error(`unsupported eviction signal ${name}`);
  return name as Signal;
}

function statements(settings: Readonly<Record<string, string>>): { signal: Signal; below: Amount }[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    const signal = parseSignal(name);
    const below = parseAmount(value);
    // 0 and 100 % turn a threshold off: that is how all of them are.
    const off = 'share' in below && (below.share === 0 || below.share === 1);
    return signal === undefined || off ? [] : [{ signal, below }];
  });
}

/** Throws for signals and quantities that are none, and for soft thresholds without a grace period. Source: pkg/kubelet/eviction/helpers.go. */
export function parseThresholds(settings: ThresholdSettings): Threshold[] {
  const reclaim = new Map(statements(settings.evictionMinimumReclaim).map(({ signal, below }) => [signal, below]));
  const withReclaim = (threshold: Threshold): Threshold => {
    const minimumReclaim = reclaim.get(threshold.signal);
    return minimumReclaim ? { ...threshold, minimumReclaim } : threshold;
  };
  const hard = statements(settings.evictionHard).map(each => withReclaim({ ...each, graceMs: 0 }));
  const soft = statements(settings.evictionSoft).map(each => {
    const period = settings.evictionSoftGracePeriod[each.signal];
    if (period === undefined) {
      throw new Error(`grace period must be specified for the soft eviction threshold ${each.signal}`);
    }
    return withReclaim({ ...each, graceMs: parseDuration(period) });
  });
  const allocatable = settings.enforceNodeAllocatable.includes('pods')
    ? hard
        .filter(({ signal }) => signal === 'memory.available')
        .map(each => ({ ...each, signal: 'allocatableMemory.available' as const }))
    : [];
  return [...hard, ...soft, ...allocatable];
}

export function amountOf(amount: Amount, capacity: number): number {
  return 'amount' in amount ? amount.amount : amount.share * capacity;
}

/** What of a whole the hard threshold of a signal keeps from pods. */
export function hardReserve(thresholds: readonly Threshold[], signal: Signal, capacity: number): number {
  const threshold = thresholds.find(each => each.signal === signal && each.graceMs === 0);
  return threshold ? amountOf(threshold.below, capacity) : 0;
}

/** The thresholds that are crossed; with `reclaim` also those that have not got their minimum back. */
export function thresholdsMet(
  thresholds: readonly Threshold[],
  observations: Observations,
  reclaim: boolean,
): Threshold[] {
  return thresholds.filter(({ signal, below, minimumReclaim }) => {
    const observed = observations.get(signal);
    // File systems without a fixed number of inodes report none at all.
    if (!observed || observed.capacity === 0) return false;
    const extra = reclaim && minimumReclaim ? amountOf(minimumReclaim, observed.capacity) : 0;
    return observed.available < amountOf(below, observed.capacity) + extra;
  });
}

export type Pressure = 'MemoryPressure' | 'DiskPressure' | 'PIDPressure';
export type StarvedResource = 'memory' | 'ephemeral-storage' | 'inodes' | 'pids';

export function pressureOf(signal: Signal): Pressure {
  if (signal === 'pid.available') return 'PIDPressure';
  return signal.endsWith('emory.available') ? 'MemoryPressure' : 'DiskPressure';
}

export function resourceOf(signal: Signal): StarvedResource {
  if (signal === 'pid.available') return 'pids';
  if (signal.endsWith('emory.available')) return 'memory';
  return signal.endsWith('inodesFree') ? 'inodes' : 'ephemeral-storage';
}
