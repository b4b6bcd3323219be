import type { Pod } from '@naru/api';
import { nextStep } from './pod-life';

const life = { startMs: 100, jobMs: 1_000 };
const now = Date.parse('2026-01-01T00:00:00Z');

function pod(overrides: Partial<Pod> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', namespace: 'default', uid: 'u' },
    spec: { nodeName: 'hollow-0', containers: [{ name: 'main', image: 'x' }] },
    ...overrides,
  };
}

test('a pod waits for its start time and is then Ready with an address', () => {
  expect(nextStep(pod(), life, now, now + 40, '240.0.0.1')).toEqual({ kind: 'wait', ms: 60 });
  const step = nextStep(pod(), life, now, now + 100, '240.0.0.1');
  expect(step).toMatchObject({
    kind: 'report',
    status: {
      phase: 'Running',
      podIP: '240.0.0.1',
      containerStatuses: [{ name: 'main', ready: true, state: { running: {} } }],
    },
  });
});

test('init containers are done and sidecars run', () => {
  const initContainers = [
    { name: 'init', image: 'x' },
    { name: 'sidecar', image: 'x', restartPolicy: 'Always' },
  ];
  const step = nextStep(pod({ spec: { containers: [], initContainers } }), life, 0, now, '');
  expect(step).toMatchObject({
    status: { initContainerStatuses: [{ state: { terminated: { exitCode: 0 } } }, { state: { running: {} } }] },
  });
});

test('a running pod of a job succeeds after its work, another one goes on', () => {
  const status = { phase: 'Running', startTime: '2026-01-01T00:00:00Z' };
  const ownerReferences = [{ apiVersion: 'batch/v1', kind: 'Job', name: 'j', uid: 'j', controller: true }];
  const ofJob = pod({ status, metadata: { uid: 'u', ownerReferences } });
  expect(nextStep(ofJob, life, 0, now + 400, '')).toEqual({ kind: 'wait', ms: 600 });
  expect(nextStep(ofJob, life, 0, now + 1_000, '')).toMatchObject({ status: { phase: 'Succeeded' } });
  expect(nextStep(pod({ status }), life, 0, now + 5_000, '')).toEqual({ kind: 'nothing' });
});

test('a terminating pod is removed and a finished one is left alone', () => {
  const metadata = { uid: 'u', deletionTimestamp: '2026-01-01T00:00:00Z' };
  expect(nextStep(pod({ metadata, status: { phase: 'Running' } }), life, 0, now, '')).toEqual({ kind: 'remove' });
  expect(nextStep(pod({ status: { phase: 'Succeeded' } }), life, 0, now, '')).toEqual({ kind: 'nothing' });
});
