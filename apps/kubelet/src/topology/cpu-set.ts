export type CpuSet = ReadonlySet<number>;

/** Reads the kernel's list: `0-3,8`. Throws for what is none. */
export function parseCpuSet(text: string): Set<number> {
  const set = new Set<number>();
  for (const part of text.trim().split(',').filter(Boolean)) {
    const [, first = '', last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (first === '' || Number(last) < Number(first)) throw new Error(`"${text}" is no list of CPUs`);
    for (let id = Number(first); id <= Number(last); id++) set.add(id);
  }
  return set;
}

export function formatCpuSet(set: CpuSet): string {
  const ranges: [number, number][] = [];
  for (const id of [...set].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last?.[1] === id - 1) last[1] = id;
    else ranges.push([id, id]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

export function union(...sets: CpuSet[]): Set<number> {
  return new Set(sets.flatMap(set => [...set]));
}

export function difference(set: CpuSet, other: CpuSet): Set<number> {
  return new Set([...set].filter(id => !other.has(id)));
}
