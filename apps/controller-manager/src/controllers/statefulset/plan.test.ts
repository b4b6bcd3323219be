import type { Pod, StatefulSet, Stored } from '@naru/api';
import { makePod } from '../../fixtures';
import { wantedOwners } from './claims';
import { planSet, wantsCurrentRevision, type SetView } from './plan';
import { statefulSetStatus } from './status';

type Spec = NonNullable<StatefulSet['spec']>;

function makeSet(spec: Partial<Spec> = {}): Stored<StatefulSet> {
  return {
    metadata: { namespace: 'default', name: 'db', uid: 'db', resourceVersion: '1', generation: 1 },
    spec: {
      replicas: 3,
      serviceName: 'db',
      selector: {},
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: 0 } },
      template: { spec: { containers: [] } },
      ...spec,
    },
  };
}

/** "0": db-0, of the new revision, ready. "-": not ready, "!": of the old revision, "x": failed, "~": terminating. */
function podOf(mark: string): Stored<Pod> {
  const labels = { 'controller-revision-hash': mark.includes('!') ? 'old' : 'new' };
  const metadata = mark.includes('~') ? { deletionTimestamp: '2026-01-01T00:00:00Z', labels } : { labels };
  return makePod(`db-${mark.charAt(0)}`, {
    labels,
    metadata,
    ready: !/[-x]/.test(mark),
    phase: mark.includes('x') ? 'Failed' : 'Running',
  });
}

function viewOf(marks: string, spec: Partial<Spec> = {}): SetView {
  const pods = marks.split(' ').filter(Boolean).map(podOf);
  const set = makeSet(spec);
  const now = Date.parse('2026-06-01');
  return { set, pods, currentRevision: 'old', updateRevision: 'new', isDeleted: () => false, now };
}

const parallel = { podManagementPolicy: 'Parallel' };
const from = (partition: number) => ({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition } } });

test.each<[string, string, Partial<Spec>, number[], string[]]>([
  ['the first comes first', '', {}, [0], []],
  ['the next waits until it is ready', '0-', {}, [], []],
  ['then comes the second', '0', {}, [1], []],
  ['a gap is filled first', '0 2', {}, [1], []],
  ['a terminating one is waited for', '0 1~ 2', {}, [], []],
  ['a failed one goes first', '0 1x 2', {}, [], ['db-1']],
  ['in parallel all come at once', '1-', parallel, [0, 2], []],
  ['the highest goes first', '0 1 2', { replicas: 1 }, [], ['db-2']],
  ['one at a time', '0 1 2~', { replicas: 1 }, [], []],
  ['going down halts while more than the highest is not ready', '0- 1- 2-', { replicas: 0 }, [], []],
  ['the highest goes when it alone is not ready', '0 1 2-', { replicas: 0 }, [], ['db-2']],
  ['in parallel all go at once', '0 1 2', { ...parallel, replicas: 1 }, [], ['db-2', 'db-1']],
  ['ordinals start elsewhere', '', { ordinals: { start: 5 } }, [5], []],
  ['what is below the start goes', '0 5', { ordinals: { start: 5 }, replicas: 1 }, [], ['db-0']],
  ['an update begins at the top', '0! 1! 2!', {}, [], ['db-2']],
  ['and goes down', '0! 1! 2', {}, [], ['db-1']],
  ['but waits for what is not ready', '0! 1! 2-', parallel, [], []],
  ['and stops at the partition', '0! 1! 2', from(2), [], []],
  ['OnDelete updates nothing', '0! 1! 2!', { updateStrategy: { type: 'OnDelete' } }, [], []],
])('%s', (_what, marks, spec, create, remove) => {
  const plan = planSet(viewOf(marks, spec));
  expect(plan.create).toEqual(create);
  expect(plan.delete.map(({ metadata }) => metadata.name)).toEqual(remove);
});

test('below the partition a new pod is of the old revision', () => {
  const set = makeSet(from(2));
  expect([0, 1, 2].map(ordinal => wantsCurrentRevision(set, ordinal))).toEqual([true, true, false]);
});

test('the update revision becomes the current one when all pods have it and are ready', () => {
  expect(statefulSetStatus(viewOf('0! 1 2'), undefined)).toMatchObject({
    replicas: 3,
    readyReplicas: 3,
    currentReplicas: 1,
    updatedReplicas: 2,
    currentRevision: 'old',
    updateRevision: 'new',
  });
  expect(statefulSetStatus(viewOf('0 1 2-'), undefined)).toMatchObject({ currentRevision: 'old' });
  expect(statefulSetStatus(viewOf('0 1 2'), undefined)).toMatchObject({ currentRevision: 'new', currentReplicas: 3 });
});

test.each([
  ['Retain', 'Retain', false, []],
  ['Delete', 'Retain', false, ['StatefulSet']],
  ['Delete', 'Retain', true, ['StatefulSet']],
  ['Retain', 'Delete', false, []],
  ['Retain', 'Delete', true, ['Pod']],
  ['Delete', 'Delete', true, ['Pod']],
  ['Delete', 'Delete', false, ['StatefulSet']],
])('claims: deleted %s, scaled %s, condemned %s', (whenDeleted, whenScaled, condemned, kinds) => {
  const set = makeSet({ persistentVolumeClaimRetentionPolicy: { whenDeleted, whenScaled } });
  const stale = { apiVersion: 'v1', kind: 'Pod', name: 'db-0', uid: 'earlier' };
  const foreign = { apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'x' };
  const owners = wantedOwners(set, podOf('0'), condemned, [stale, foreign]);
  expect(owners.map(({ kind }) => kind)).toEqual(['ConfigMap', ...kinds]);
});
