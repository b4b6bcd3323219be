import type { ConfigNode } from './config-node';

const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** Milliseconds of a field that holds a duration as Go writes it, such as `1m30s`. */
export function parseDuration(node: ConfigNode, fallback: string): number {
  const text = node.text(fallback);
  if (!/^(\d+(\.\d+)?(h|ms|m|s))+$/.test(text)) node.fail(`"${text}" is no duration; write it as 1m30s or 500ms`);
  let totalMs = 0;
  for (const [, amount, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g))
    totalMs += Number(amount) * (unitMs[unit] ?? 0);
  return totalMs;
}
