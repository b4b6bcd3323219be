import { claimNumber } from './claimed-number';

test('a claimed number is nobody else’s until it is released', async () => {
  const claims = await Promise.all(Array.from({ length: 50 }, () => claimNumber()));
  expect(new Set(claims.map(({ value }) => value)).size).toBe(50);
  for (const { release } of claims) release();
});
