import { Deadlines } from './deadlines';

test('calls that end in the same second share their signal, which aborts when the time is up', async () => {
  const deadlines = new Deadlines();
  const signals = Array.from({ length: 100 }, () => deadlines.after(30_000));
  expect(new Set(signals).size).toBeLessThanOrEqual(2);
  const soon = deadlines.after(1);
  expect(soon.aborted).toBe(false);
  await new Promise(resolve => soon.addEventListener('abort', resolve, { once: true }));
  expect(soon.reason).toMatchObject({ name: 'TimeoutError' });
  expect(deadlines.after(1).aborted).toBe(false);
});
