import { BackOff } from './back-off';

describe('the delays between restarts', () => {
  let now = 0;
  const delays = (backOff: BackOff, times: number): number[] =>
    Array.from({ length: times }, () => {
      backOff.next('key', now);
      return backOff.remainingMs('key', now) / 1_000;
    });
  const make = (options: { maxMs?: number; forgetMs?: number }): BackOff => new BackOff({ ...options, now: () => now });

  it('double up to the longest', () => {
    expect(delays(make({}), 7)).toEqual([10, 20, 40, 80, 160, 300, 300]);
  });

  it('are no longer than a longest that is shorter than the first', () => {
    expect(delays(make({ maxMs: 3_000 }), 3)).toEqual([3, 3, 3]);
  });

  it('begin anew after a time without a failure, which need not depend on the longest', () => {
    const backOff = make({ maxMs: 40_000, forgetMs: 600_000 });
    expect(delays(backOff, 3)).toEqual([10, 20, 40]);
    now += 600_000;
    expect(delays(backOff, 1)).toEqual([40]);
    now += 600_001;
    expect(delays(backOff, 1)).toEqual([10]);
  });
});
