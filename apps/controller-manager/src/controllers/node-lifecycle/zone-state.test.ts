import { EvictionBudget, evictionRate, zoneState } from './zone-state';

test.each([
  [3, 0, 'Normal'],
  [2, 1, 'Normal'],
  [1, 2, 'Normal'],
  [1, 3, 'PartialDisruption'],
  [0, 3, 'FullDisruption'],
  [0, 1, 'FullDisruption'],
  [0, 0, 'Initial'],
])('%i ready and %i not ready nodes are %s', (ready, notReady, state) =>
  expect(zoneState(ready, notReady, 0.55)).toBe(state),
);

const settings = { nodeEvictionRate: 0.1, secondaryNodeEvictionRate: 0.01, largeClusterSize: 50 };

test.each([
  ['Normal', 3, false, 0.1],
  ['PartialDisruption', 10, false, 0],
  ['PartialDisruption', 100, false, 0.01],
  ['FullDisruption', 3, false, 0.1],
  ['FullDisruption', 3, true, 0],
] as const)('a %s zone of %i nodes (all down: %s) is evicted at %d nodes a second', (state, size, all, rate) =>
  expect(evictionRate(state, size, all, settings)).toBe(rate),
);

test('the budget gives one at once and the next after its time', () => {
  const budget = new EvictionBudget();
  expect(budget.take(0.1, 0)).toBe(0);
  expect(budget.take(0.1, 4_000)).toBe(6_000);
  expect(budget.take(0.1, 10_000)).toBe(0);
  expect(budget.take(0, 60_000)).toBe(Infinity);
});
