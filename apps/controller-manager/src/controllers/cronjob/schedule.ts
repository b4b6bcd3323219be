import type { WallClock, WallTime } from './wall-clock';

/** Times in milliseconds since the epoch. */
export interface Schedule {
  /** The first time after `ms`; undefined: none within five years. */
  next(ms: number): number | undefined;
}

const minuteMs = 60_000;
const horizonMs = 5 * 366 * 24 * 60 * minuteMs;

interface Field {
  values: ReadonlySet<number>;
  /** Written as * or ?: does not restrict. */
  any: boolean;
}

const monthNames = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const dayNames = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

const bounds = [
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day of month', min: 1, max: 31 },
  { name: 'month', min: 1, max: 12, names: monthNames },
  { name: 'day of week', min: 0, max: 6, names: dayNames },
] as const;
type Bounds = (typeof bounds)[number];

const descriptors: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/** Reads the cron format as upstream does (robfig/cron, five fields). Throws an Error that says what is wrong. */
export function parseSchedule(text: string, clock: WallClock): Schedule {
  const every = /^@every\s+(\S+)$/.exec(text.trim());
  if (every) return everySchedule(parseDuration(every[1] as string));
  const expression = descriptors[text.trim()] ?? text.trim();
  if (expression.startsWith('@')) throw new Error(`unrecognized descriptor: ${expression}`);
  const parts = expression.split(/\s+/);
  if (parts.length !== bounds.length)
    throw new Error(`expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`);
  const fields = bounds.map((bound, i) => parseField(parts[i] as string, bound));
  return fieldSchedule(fields as [Field, Field, Field, Field, Field], clock);
}

function parseField(text: string, bound: Bounds): Field {
  const values = new Set<number>();
  let any = false;
  for (const part of text.split(',')) {
    const [range = '', step, ...rest] = part.split('/');
    if (rest.length > 0) throw new Error(`too many slashes: ${part}`);
    const star = range === '*' || range === '?';
    const [from, to, ...more] = range.split('-');
    if (more.length > 0) throw new Error(`too many hyphens: ${part}`);
    const first = star ? bound.min : parseValue(from as string, bound);
    const open = star || (to === undefined && step !== undefined);
    const last = open ? bound.max : parseValue(to ?? (from as string), bound);
    const width = step === undefined ? 1 : parseNumber(step);
    if (width < 1) throw new Error(`step of range should be a positive number: ${part}`);
    if (first > last) throw new Error(`beginning of range (${first}) beyond end of range (${last}): ${part}`);
    if (star && width === 1) any = true;
    for (let value = first; value <= last; value += width) values.add(value);
  }
  return { values, any };
}

function parseValue(text: string, bound: Bounds): number {
  const named = 'names' in bound ? (bound.names as readonly string[]).indexOf(text.toLowerCase()) : -1;
  const value = named >= 0 ? named + bound.min : parseNumber(text);
  if (value < bound.min || value > bound.max)
    throw new Error(`${bound.name} ${value} is not between ${bound.min} and ${bound.max}`);
  return value;
}

function parseNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`failed to parse number: ${text}`);
  return Number(text);
}

function parseDuration(text: string): number {
  const units: Record<string, number> = { h: 3_600_000, m: minuteMs, s: 1_000, ms: 1 };
  if (!/^(\d+(\.\d+)?(h|ms|m|s))+$/.test(text)) throw new Error(`failed to parse duration ${text}`);
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g))
    total += Number(amount) * (units[unit as string] ?? 0);
  return Math.max(1_000, Math.floor(total / 1_000) * 1_000);
}

function everySchedule(periodMs: number): Schedule {
  return { next: ms => Math.floor(ms / 1_000) * 1_000 + periodMs };
}

function fieldSchedule(
  [minutes, hours, days, months, weekdays]: [Field, Field, Field, Field, Field],
  clock: WallClock,
) {
  const dayMatches = ({ month, day, weekday }: WallTime): boolean => {
    if (!months.values.has(month)) return false;
    const [inMonth, inWeek] = [days.values.has(day), weekdays.values.has(weekday)];
    // Where both restrict, one of them is enough.
    return days.any || weekdays.any ? inMonth && inWeek : inMonth || inWeek;
  };
  return {
    next(ms: number): number | undefined {
      let at = (Math.floor(ms / minuteMs) + 1) * minuteMs;
      const end = at + horizonMs;
      while (at < end) {
        const time = clock(at);
        if (!dayMatches(time)) at = nextMidnight(at, time, clock);
        else if (!hours.values.has(time.hour)) at += (60 - time.minute) * minuteMs;
        else if (!minutes.values.has(time.minute)) at += minuteMs;
        else return at;
      }
      return undefined;
    },
  };
}

/** The first minute of the next local day, also where the clock is put forward or back in between. */
function nextMidnight(at: number, { hour, minute, day }: WallTime, clock: WallClock): number {
  const guess = at + (24 * 60 - hour * 60 - minute) * minuteMs;
  const landed = clock(guess);
  const late = landed.hour * 60 + landed.minute;
  // The clock was put forward today: midnight was before. Put back: still today, and the caller asks again.
  if (late === 0 || landed.day === day) return guess;
  const earlier = guess - late * minuteMs;
  return clock(earlier).day === landed.day ? earlier : guess;
}
