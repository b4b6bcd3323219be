import { SharedEntries } from './shared-entries';

test('an entry comes with the first of its owners and goes with the last', () => {
  const entries = new SharedEntries();
  entries.add('a');
  entries.add('a');
  entries.add('b');
  expect(entries.takeChanges()).toEqual({ come: ['a', 'b'], gone: [] });
  entries.remove('a');
  entries.remove('b');
  expect(entries.takeChanges()).toEqual({ come: [], gone: ['b'] });
  entries.remove('a');
  expect(entries.takeChanges()).toEqual({ come: [], gone: ['a'] });
  expect([...entries]).toEqual([]);
});

test('an entry that goes and comes back between two looks is no change', () => {
  const entries = new SharedEntries();
  entries.add('a');
  entries.takeChanges();
  entries.remove('a');
  entries.add('a');
  entries.add('b');
  entries.remove('b');
  expect(entries.takeChanges()).toEqual({ come: [], gone: [] });
  expect(entries.has('a')).toBe(true);
});
