/** What the clock on the wall shows in a place, down to the minute. */
export interface WallTime {
  year: number;
  /** 1–12. */
  month: number;
  day: number;
  hour: number;
  minute: number;
  /** 0 is Sunday. */
  weekday: number;
}

export type WallClock = (ms: number) => WallTime;

const maxClocks = 500;
const clocks = new Map<string, WallClock>();

/** Of an IANA time zone; undefined: where this process runs. Throws RangeError for a zone that does not exist. */
export function wallClock(timeZone: string | undefined): WallClock {
  const key = timeZone ?? '';
  const known = clocks.get(key);
  if (known) return known;
  const clock = isUtc(timeZone) ? readUtc : zoneClock(timeZone);
  if (clocks.size >= maxClocks) clocks.clear();
  clocks.set(key, clock);
  return clock;
}

function isUtc(timeZone: string | undefined): boolean {
  const zone = timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  return zone === 'UTC' || zone === 'Etc/UTC';
}

function readUtc(ms: number): WallTime {
  const date = new Date(ms);
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    weekday: date.getUTCDay(),
  };
}

function zoneClock(timeZone: string | undefined): WallClock {
  const format = new Intl.DateTimeFormat('en-US', {
    ...(timeZone ? { timeZone } : {}),
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
  return ms => {
    const parts = new Map(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
    const read = (name: Intl.DateTimeFormatPartTypes): number => parts.get(name) ?? 0;
    const [year, month, day] = [read('year'), read('month'), read('day')];
    const weekday = new Date(Date.UTC(year, month - 1, day)).getUTCDay();
    return { year, month, day, hour: read('hour'), minute: read('minute'), weekday };
  };
}
