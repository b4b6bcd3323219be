import { create, refusals } from '../testing/refusals';
import { daemonSetKind } from './daemon-set';
import { deploymentKind } from './deployment';
import { statefulSetKind } from './stateful-set';

const labels = { app: 'a' };
const base = {
  selector: { matchLabels: labels },
  template: { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'i' }] } },
};
const body = (more: object): object => ({ metadata: { name: 'w' }, spec: { ...base, ...more } });
const rolling = (rollingUpdate: object): object => ({ type: 'RollingUpdate', rollingUpdate });

test('updates roll unless it is said otherwise, within the bounds of their kind', () => {
  const bounds = { maxUnavailable: '25%', maxSurge: '25%' };
  expect(create(deploymentKind, body({})).spec?.strategy).toEqual(rolling(bounds));
  expect(create(deploymentKind, body({ strategy: { type: 'Recreate' } })).spec?.strategy).toEqual({ type: 'Recreate' });
  const some = create(daemonSetKind, body({ updateStrategy: { rollingUpdate: { maxUnavailable: 2 } } }));
  expect(some.spec?.updateStrategy).toEqual(rolling({ maxUnavailable: 2, maxSurge: 0 }));
  expect(create(statefulSetKind, body({})).spec?.updateStrategy).toEqual(rolling({ partition: 0 }));
});

test.each([
  [{ updateStrategy: { type: 'Recreate' } }, 'spec.updateStrategy: ', "must be 'RollingUpdate' or 'OnDelete'"],
  [
    { updateStrategy: { type: 'OnDelete', rollingUpdate: { partition: 1 } } },
    'spec.updateStrategy.rollingUpdate: ',
    "only allowed for updateStrategy 'RollingUpdate'",
  ],
  [{ podManagementPolicy: 'Wild' }, 'spec.podManagementPolicy: ', "must be 'OrderedReady' or 'Parallel'"],
])('a stateful set with %j is refused', (more, field, message) => {
  const found = refusals(statefulSetKind, body(more));
  expect(found).toEqual([expect.stringMatching(new RegExp(`^${field}Invalid value`))]);
  expect(found[0]).toContain(message);
});

test.each([
  [deploymentKind, { strategy: rolling({ maxUnavailable: '0%', maxSurge: 0 }) }, 'may not be 0 when `maxSurge` is 0'],
  [daemonSetKind, { updateStrategy: rolling({ maxUnavailable: '00%' }) }, 'cannot be 0 when maxSurge is 0'],
  [daemonSetKind, { revisionHistoryLimit: -1 }, 'must be greater than or equal to 0'],
])('an update that could never go on, or forgets more than there is, is refused: %#', (kind, more, message) => {
  const found = refusals(kind as typeof deploymentKind, body(more));
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(message);
});
