import type { Deployment } from '@naru/api';
import { makeDeployment, makeReplicaSet } from '../../fixtures';
import { newSetSize, resolveFenceposts, scaleProportionally, shrinkOldSets } from './rolling-update';

const rolling = (replicas: number, maxSurge?: number | string, maxUnavailable?: number | string): Deployment =>
  makeDeployment('web', {
    replicas,
    strategy: {
      type: 'RollingUpdate',
      rollingUpdate: {
        ...(maxSurge === undefined ? {} : { maxSurge }),
        ...(maxUnavailable === undefined ? {} : { maxUnavailable }),
      },
    },
  });
const set = (name: string, replicas: number, availableReplicas = replicas) =>
  makeReplicaSet(name, replicas, { status: { replicas, availableReplicas } });

test.each([
  [10, undefined, undefined, 3, 2],
  [3, undefined, undefined, 1, 0],
  [1, undefined, undefined, 1, 0],
  [10, '50%', '100%', 5, 10],
  [10, 0, 0, 0, 1],
  [10, 2, 3, 2, 3],
  [2, 0, 5, 0, 2],
])(
  '%i replicas with surge %s and unavailable %s allow %i more and %i fewer',
  (replicas, surge, unavailable, up, down) => {
    expect(resolveFenceposts(rolling(replicas, surge, unavailable))).toEqual({ maxSurge: up, maxUnavailable: down });
  },
);

test.each([
  ['starts with the surge', rolling(10, 3, 0), [set('old', 10)], 0, 3],
  ['waits while there is no room', rolling(10, 3, 0), [set('old', 10), set('new', 3)], 3, 3],
  ['takes the place of what went', rolling(10, 3, 0), [set('old', 7), set('new', 3)], 3, 6],
  ['never exceeds what is desired', rolling(10, 3, 0), [set('old', 0), set('new', 8)], 8, 10],
  [
    'of Recreate is full size at once',
    makeDeployment('web', { replicas: 4, strategy: { type: 'Recreate' } }),
    [],
    0,
    4,
  ],
])('the new set %s', (_what, deployment, sets, current, size) => {
  expect(newSetSize(deployment, sets, current)).toBe(size);
});

test.each([
  ['shrink by what may be unavailable', rolling(10, 0, 2), set('new', 0), [set('old', 10)], { old: 8 }],
  ['wait for the new pods', rolling(10, 3, 0), set('new', 3, 0), [set('old', 10)], {}],
  ['give way to available new pods', rolling(10, 3, 0), set('new', 3), [set('old', 10)], { old: 7 }],
  ['lose their unavailable pods first', rolling(10, 3, 0), set('new', 3), [set('a', 5), set('b', 5, 2)], { b: 2 }],
  ['shrink the oldest first', rolling(10, 0, 4), set('new', 0), [set('a', 3), set('b', 7)], { a: 0, b: 6 }],
])('old sets %s', (_what, deployment, newSet, oldSets, expected) => {
  expect(Object.fromEntries(shrinkOldSets(deployment, newSet, oldSets))).toEqual(expected);
});

test.each([
  ['grows both by their part', rolling(20, 0, 1), [set('a', 8), set('b', 2)], 10, { a: 16, b: 4 }],
  ['gives what is left over to the largest', rolling(11, 0, 1), [set('a', 5), set('b', 5)], 10, { a: 6, b: 5 }],
  ['shrinks both', rolling(5, 0, 1), [set('a', 8), set('b', 2)], 10, { a: 4, b: 1 }],
  ['to zero empties all', rolling(0, 0, 1), [set('a', 8), set('b', 2)], 10, { a: 0, b: 0 }],
])('scaling in the middle of a roll-out %s', (_what, deployment, sets, before, expected) => {
  expect(Object.fromEntries(scaleProportionally(deployment, sets, () => before))).toEqual(expected);
});
