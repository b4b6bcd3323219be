import type { Schedule } from './schedule';

export interface Missed {
  /** The latest time that has passed since `earliest`. Undefined: none. */
  latest: number | undefined;
  /** So many were missed that something is wrong, with the clock or the deadline. */
  tooMany: boolean;
}

/** The times of a schedule that passed after `earliest` and not after `now`; long gaps are not walked through. */
export function missedTimes(schedule: Schedule, earliest: number, now: number): Missed {
  const first = schedule.next(earliest);
  if (first === undefined || first > now) return { latest: undefined, tooMany: false };
  const second = schedule.next(first);
  if (second === undefined || second > now) return { latest: first, tooMany: false };
  const period = second - first;
  const tooMany = (now - first) / period > 100;
  for (let window = 2 * period; ; window *= 2) {
    let latest: number | undefined;
    const start = Math.max(first - 1, now - window);
    for (let at = schedule.next(start); at !== undefined && at <= now; at = schedule.next(at)) latest = at;
    if (latest !== undefined) return { latest, tooMany };
    if (start === first - 1) return { latest: first, tooMany };
  }
}
