import type { Diagnosis } from './types';

/** What the user reads in events and conditions, in upstream's words. Source: framework.FitError. */
export function describeDiagnosis(diagnosis: Diagnosis): string {
  const { nodeCount, nodeStatuses, preFilterMessage, postFilterMessage } = diagnosis;
  if (nodeCount === 0) return 'no nodes available to schedule pods';
  const parts = [`0/${nodeCount} nodes are available:`];
  if (preFilterMessage) parts.push(`${preFilterMessage}.`);
  else {
    const histogram = new Map<string, number>();
    for (const { reasons } of nodeStatuses.values())
      for (const reason of reasons) histogram.set(reason, (histogram.get(reason) ?? 0) + 1);
    const lines = [...histogram].map(([reason, count]) => `${count} ${reason}`).sort();
    if (lines.length > 0) parts.push(`${lines.join(', ')}.`);
  }
  if (postFilterMessage) parts.push(postFilterMessage);
  return parts.join(' ');
}
