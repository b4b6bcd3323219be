import { StartHolds } from './start-holds';

describe('a container that the runtime could not start', () => {
  it('waits for its time, or for another spec', () => {
    let now = 1_000;
    const holds = new StartHolds({ now: () => now });
    expect(holds.remainingMs('a')).toBe(0);
    holds.hold('a', 2_000);
    now += 500;
    expect([holds.remainingMs('a'), holds.remainingMs('b')]).toEqual([1_500, 0]);
    now += 1_500;
    expect(holds.remainingMs('a')).toBe(0);
    holds.hold('a', 10_000);
    holds.clear();
    expect(holds.remainingMs('a')).toBe(0);
  });
});
