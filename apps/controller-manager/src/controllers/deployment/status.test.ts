import type { Deployment } from '@naru/api';
import { makeDeployment, makeReplicaSet } from '../../fixtures';
import { calculateStatus, conditionOf, deadlineInMs, judgeProgress } from './status';

const now = Date.parse('2026-01-01T00:10:00Z');
const newSet = makeReplicaSet('web-1', 3, { status: { replicas: 3, availableReplicas: 1, readyReplicas: 1 } });

function judged(deployment: Deployment, at: number) {
  const status = calculateStatus(deployment, [newSet], newSet, at);
  judgeProgress(deployment, status, [newSet], newSet, at);
  return status;
}

test('a roll-out that stands still beyond its deadline has timed out', () => {
  const deployment = makeDeployment('web', { replicas: 3, progressDeadlineSeconds: 60 });
  const started = judged(deployment, now);
  expect(conditionOf(started, 'Progressing')).toMatchObject({ status: 'True', reason: 'ReplicaSetUpdated' });
  expect(deadlineInMs(deployment, started, now)).toBe(61_000);
  const later = judged({ ...deployment, status: started }, now + 30_000);
  expect(conditionOf(later, 'Progressing')?.reason).toBe('ReplicaSetUpdated');
  const stuck = judged({ ...deployment, status: later }, now + 61_000);
  expect(conditionOf(stuck, 'Progressing')).toMatchObject({
    status: 'False',
    reason: 'ProgressDeadlineExceeded',
    message: 'ReplicaSet "web-1" has timed out progressing.',
  });
  expect(deadlineInMs(deployment, stuck, now + 61_000)).toBeUndefined();
});

test('without a deadline there is no Progressing condition', () => {
  const deployment = makeDeployment('web', { progressDeadlineSeconds: 2147483647 });
  expect(conditionOf(judged(deployment, now), 'Progressing')).toBeUndefined();
});

test('too few available pods are said to be too few', () => {
  expect(conditionOf(judged(makeDeployment('web'), now), 'Available')).toMatchObject({
    status: 'False',
    reason: 'MinimumReplicasUnavailable',
  });
});
