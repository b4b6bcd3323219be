import { maxNodeScore } from './types';

/** helper.DefaultNormalizeScore: scales to 0–100 by the highest; `reverse` makes the lowest the best. In place. */
export function normalizeByMax(scores: number[], reverse: boolean): void {
  const max = scores.reduce((a, b) => Math.max(a, b), 0);
  for (let i = 0; i < scores.length; i++) {
    if (max === 0) scores[i] = reverse ? maxNodeScore : 0;
    else {
      const scaled = Math.floor((maxNodeScore * (scores[i] ?? 0)) / max);
      scores[i] = reverse ? maxNodeScore - scaled : scaled;
    }
  }
}
