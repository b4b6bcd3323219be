/** Sorted, disjoint and never adjacent ranges of completion indexes, both ends included: "1,3-5" is [[1,1],[3,5]]. */
export type Indexes = readonly (readonly [number, number])[];

/** Those of `text` that are below `limit`. What cannot be read is left out: the text is ours. */
export function parseIndexes(text: string | undefined, limit = Infinity): Indexes {
  const ranges: (readonly [number, number])[] = [];
  for (const part of (text ?? '').split(',')) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(part.trim());
    if (!match) continue;
    const first = Number(match[1]);
    const last = Math.min(Number(match[2] ?? match[1]), limit - 1);
    if (first <= last) ranges.push([first, last]);
  }
  return merge(ranges);
}

export function formatIndexes(indexes: Indexes): string {
  // Upstream writes two neighbours as "1,2" and three as "1-3".
  return indexes
    .map(([first, last]) => {
      if (first === last) return String(first);
      return last === first + 1 ? `${first},${last}` : `${first}-${last}`;
    })
    .join(',');
}

export function countIndexes(indexes: Indexes): number {
  return indexes.reduce((sum, [first, last]) => sum + last - first + 1, 0);
}

export function hasIndex(indexes: Indexes, index: number): boolean {
  return indexes.some(([first, last]) => first <= index && index <= last);
}

export function withIndexes(indexes: Indexes, more: Iterable<number>): Indexes {
  return merge([...indexes, ...[...more].map(index => [index, index] as const)]);
}

/** How many are in both. */
export function countCommon(a: Indexes, b: Indexes): number {
  let count = 0;
  for (const [first, last] of a)
    for (const [from, to] of b) count += Math.max(0, Math.min(last, to) - Math.max(first, from) + 1);
  return count;
}

function merge(ranges: (readonly [number, number])[]): Indexes {
  const merged: [number, number][] = [];
  for (const [first, last] of [...ranges].sort((a, b) => a[0] - b[0])) {
    const before = merged.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return merged;
}
