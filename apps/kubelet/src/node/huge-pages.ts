import fs from 'node:fs';
import path from 'node:path';

/** Huge pages set aside: size in bytes → bytes. `directory` is the kernel's, of the machine or of a NUMA node. */
export function readHugePages(directory = '/sys/kernel/mm/hugepages'): Map<number, number> {
  const pages = new Map<number, number>();
  for (const name of fs.existsSync(directory) ? fs.readdirSync(directory) : []) {
    const kibi = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0);
    const count = Number(fs.readFileSync(path.join(directory, name, 'nr_hugepages'), 'utf8'));
    if (kibi > 0) pages.set(kibi * 1024, kibi * 1024 * count);
  }
  return pages;
}

export const hugePagesPrefix = 'hugepages-';

/** hugepages-2Mi, hugepages-1Gi. */
export function hugePageName(size: number): string {
  const unit =
    size % 2 ** 30 === 0
      ? ([2 ** 30, 'Gi'] as const)
      : size % 2 ** 20 === 0
        ? ([2 ** 20, 'Mi'] as const)
        : ([1024, 'Ki'] as const);
  return `${hugePagesPrefix}${size / unit[0]}${unit[1]}`;
}
