import { eventually } from '@naru/testing';
import type { TerminalSize } from '@naru/streaming';
import { SpacedSizes } from './window-size';

test('sizes in a burst are applied first and last only, and later ones again at once', async () => {
  const applied: TerminalSize[] = [];
  const sizes = new SpacedSizes(size => applied.push(size));
  for (const width of [81, 90, 80]) sizes.set({ width, height: 24 });
  expect(applied.map(({ width }) => width)).toEqual([81]);
  await eventually(() => expect(applied.map(({ width }) => width)).toEqual([81, 80]));
  sizes.set({ width: 100, height: 24 });
  await eventually(() => expect(applied.at(-1)?.width).toBe(100));
  sizes.close();
});
