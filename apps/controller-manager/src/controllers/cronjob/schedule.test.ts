import { missedTimes } from './missed';
import { parseSchedule } from './schedule';
import { wallClock } from './wall-clock';

const at = (text: string): number => Date.parse(text);
const next = (schedule: string, after: string, timeZone = 'UTC'): string => {
  const time = parseSchedule(schedule, wallClock(timeZone)).next(at(after));
  return time === undefined ? 'never' : new Date(time).toISOString().slice(0, 16);
};

test.each([
  ['*/15 * * * *', '2026-01-01T00:01:00Z', '2026-01-01T00:15'],
  ['0 0 * * *', '2026-01-01T00:00:00Z', '2026-01-02T00:00'],
  ['5/20 3 * * *', '2026-01-01T00:00:00Z', '2026-01-01T03:05'],
  ['30 9 * * mon-FRI', '2026-01-03T00:00:00Z', '2026-01-05T09:30'],
  ['0 0 13 * 5', '2026-02-07T00:00:00Z', '2026-02-13T00:00'],
  ['0 0 1 * 1', '2026-01-02T00:00:00Z', '2026-01-05T00:00'],
  ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00'],
  ['0 0 30 2 *', '2026-01-01T00:00:00Z', 'never'],
  ['@monthly', '2026-01-31T10:00:00Z', '2026-02-01T00:00'],
  ['@every 1h30m', '2026-01-01T00:00:00Z', '2026-01-01T01:30'],
  ['0 12 ? JAN,dec *', '2026-02-01T00:00:00Z', '2026-12-01T12:00'],
])('%s after %s is %s', (schedule, after, expected) => {
  expect(next(schedule, after)).toBe(expected);
});

test.each([
  ['Asia/Seoul', '0 9 * * *', '2026-01-01T00:00:00Z', '2026-01-02T00:00'],
  ['America/New_York', '0 9 * * *', '2026-07-01T00:00:00Z', '2026-07-01T13:00'],
  // Put forward from 2:00 to 3:00 on 29 March: 2:30 does not exist that day.
  ['Europe/Berlin', '30 2 * * *', '2026-03-28T12:00:00Z', '2026-03-30T00:30'],
  ['Europe/Berlin', '0 0 30 3 *', '2026-03-28T12:00:00Z', '2026-03-29T22:00'],
  // Put back from 3:00 to 2:00 on 25 October.
  ['Europe/Berlin', '0 0 26 10 *', '2026-10-25T00:00:00Z', '2026-10-25T23:00'],
])('in %s %s after %s is %s', (timeZone, schedule, after, expected) => {
  expect(next(schedule, after, timeZone)).toBe(expected);
});

test.each(['* * * *', '60 * * * *', '* * * * 8', '5-1 * * * *', '*/0 * * * *', 'a * * * *', '@sometimes', '@every x'])(
  '%s is refused',
  schedule => {
    expect(() => parseSchedule(schedule, wallClock('UTC'))).toThrow();
  },
);

test('an unknown time zone is refused', () => {
  expect(() => wallClock('Nowhere/Land')).toThrow(RangeError);
});

test('of the times missed the latest counts, without walking through a long gap', () => {
  const schedule = parseSchedule('* * * * *', wallClock('UTC'));
  const now = at('2026-06-01T00:00:30Z');
  expect(missedTimes(schedule, now - 1_000, now).latest).toBeUndefined();
  expect(missedTimes(schedule, at('2026-05-31T23:58:00Z'), now)).toEqual({
    latest: at('2026-06-01T00:00:00Z'),
    tooMany: false,
  });
  const counting = { calls: 0, next: (ms: number) => (counting.calls++, schedule.next(ms)) };
  expect(missedTimes(counting, at('2020-01-01T00:00:00Z'), now)).toEqual({
    latest: at('2026-06-01T00:00:00Z'),
    tooMany: true,
  });
  expect(counting.calls).toBeLessThan(20);
});
