import type { Entry } from './entry';
import { Snapshots } from './snapshots';

const entry = (name: string, revision: number, bytes = 1000): Entry => ({
  ...{ key: name, name, namespace: '', uid: '', revision, labels: undefined, fields: {} },
  bytes: Buffer.alloc(bytes),
});

test('a snapshot is kept for five minutes, and known from the key on that it begins with', () => {
  const snapshots = new Snapshots();
  snapshots.keep(1, 0, { entries: [], from: 'default/m' });
  expect(snapshots.find(1, 299_999, 'default/m')).toEqual([]);
  expect(snapshots.find(1, 299_999, 'default/a')).toBeUndefined();
  expect(snapshots.find(1, 300_000, 'default/m')).toBeUndefined();
});

test('one snapshot serves all revisions between which nothing of the kind has changed', () => {
  const snapshots = new Snapshots();
  const entries = [entry('a', 1)];
  snapshots.keep(5, 0, { entries, generation: 1 });
  snapshots.keep(9, 1, { entries: [...entries], generation: 1 });
  for (const revision of [5, 7, 9]) expect(snapshots.find(revision, 300_000, '')).toBe(entries);
  for (const revision of [4, 10]) expect(snapshots.find(revision, 1, '')).toBeUndefined();
});

test('snapshots are as many as their memory allows: the oldest goes for what has changed since, the last one stays', () => {
  const snapshots = new Snapshots(5000);
  for (const revision of [1, 2, 3]) snapshots.keep(revision, 0, { entries: [], generation: revision });
  const known = () => [1, 2, 3].filter(revision => snapshots.find(revision, 0, ''));
  // Newer than every snapshot: none holds it.
  snapshots.hold(entry('new', 4, 10_000));
  expect(known()).toEqual([1, 2, 3]);
  snapshots.hold(entry('old', 3, 10_000));
  expect(known()).toEqual([3]);
  snapshots.keep(5, 0, { entries: [], generation: 5 });
  expect([known(), snapshots.find(5, 0, '')]).toEqual([[], []]);
});
