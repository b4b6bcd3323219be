import type { ContainerStatus, Pod } from '../types';
import { humanDuration } from './duration';
import { formatRestarts, summarizePod } from './pod-summary';

const now = Date.parse('2026-01-01T01:00:00Z');

function status(name: string, state: ContainerStatus['state'], rest: Partial<ContainerStatus> = {}): ContainerStatus {
  return { name, image: '', imageID: '', ready: false, restartCount: 0, state, ...rest } as ContainerStatus;
}
const running = (name: string, rest: Partial<ContainerStatus> = {}): ContainerStatus =>
  status(name, { running: {} }, { ready: true, ...rest });

function pod(parts: Partial<Pod['status']>, init: NonNullable<Pod['spec']>['initContainers'] = [], meta = {}): Pod {
  return {
    metadata: { name: 'p', ...meta },
    spec: { containers: [{ name: 'a' }, { name: 'b' }], initContainers: init },
    status: { phase: 'Running', ...parts },
  };
}

test.each<[string, Pod, string, string]>([
  ['a running pod', pod({ containerStatuses: [running('a'), running('b')] }), '2/2', 'Running'],
  ['a pod that has no containers yet', pod({ phase: 'Pending' }), '0/2', 'Pending'],
  [
    'a crashing container',
    pod({ containerStatuses: [status('a', { waiting: { reason: 'CrashLoopBackOff' } }), running('b')] }),
    '1/2',
    'CrashLoopBackOff',
  ],
  [
    'a failed container without a reason',
    pod({ containerStatuses: [status('a', { terminated: { exitCode: 3 } })] }),
    '0/2',
    'ExitCode:3',
  ],
  [
    'one container done and one running, not ready',
    pod({ containerStatuses: [status('a', { terminated: { exitCode: 0, reason: 'Completed' } }), running('b')] }),
    '1/2',
    'NotReady',
  ],
  [
    'an init container in progress',
    pod({ phase: 'Pending', initContainerStatuses: [status('i', { running: {} })] }, [{ name: 'i' }, { name: 'j' }]),
    '0/2',
    'Init:0/2',
  ],
  [
    'an init container that fails',
    pod({ initContainerStatuses: [status('i', { waiting: { reason: 'CrashLoopBackOff' } })] }, [{ name: 'i' }]),
    '0/2',
    'Init:CrashLoopBackOff',
  ],
  [
    'a sidecar',
    pod(
      {
        initContainerStatuses: [running('s', { started: true })],
        containerStatuses: [running('a'), running('b')],
      },
      [{ name: 's', restartPolicy: 'Always' }],
    ),
    '3/3',
    'Running',
  ],
  ['a pod being deleted', pod({}, [], { deletionTimestamp: '2026-01-01T00:00:00Z' }), '0/2', 'Terminating'],
  ['an evicted pod', pod({ phase: 'Failed', reason: 'Evicted' }), '0/2', 'Evicted'],
])('%s is shown as kubectl shows it', (_name, given, ready, reason) => {
  expect(summarizePod(given)).toMatchObject({ ready, reason });
});

test('restarts say how long ago the last was', () => {
  const lastState = { terminated: { exitCode: 1, finishedAt: '2026-01-01T00:55:00Z' } };
  const summary = summarizePod(
    pod({ containerStatuses: [running('a', { restartCount: 3, lastState }), running('b')] }),
  );
  expect(formatRestarts(summary, now)).toBe('3 (5m ago)');
  expect(formatRestarts(summarizePod(pod({})), now)).toBe('0');
});

test.each([
  [-5000, '<invalid>'],
  [0, '0s'],
  [119_000, '119s'],
  [120_000, '2m'],
  [192_000, '3m12s'],
  [3_600_000, '60m'],
  [4 * 3_600_000 + 60_000, '4h1m'],
  [30 * 3_600_000, '30h'],
  [50 * 3_600_000, '2d2h'],
  [400 * 86_400_000, '400d'],
  [3 * 365 * 86_400_000, '3y'],
])('%d ms is %s', (ms, expected) => {
  expect(humanDuration(ms)).toBe(expected);
});
