import { makePod } from '../fixtures';
import { rankForDeletion } from './deletion-rank';

const now = Date.parse('2026-01-02T00:00:00Z');
const first = (pods: ReturnType<typeof makePod>[], crowding: (name: string) => number = () => 0) =>
  rankForDeletion(pods, pod => crowding(pod.metadata.name), now)[0]?.metadata.name;
const ready = { nodeName: 'n', ready: true };

test.each([
  ['without a node', makePod('x'), makePod('y', { nodeName: 'n' })],
  ['pending', makePod('x', { nodeName: 'n', phase: 'Pending' }), makePod('y', { nodeName: 'n' })],
  ['not ready', makePod('x', { nodeName: 'n' }), makePod('y', ready)],
  [
    'of lower deletion cost',
    makePod('x', { ...ready, metadata: { annotations: { 'controller.kubernetes.io/pod-deletion-cost': '-1' } } }),
    makePod('y', ready),
  ],
  [
    'created lately',
    makePod('x', { ...ready, metadata: { creationTimestamp: '2026-01-01T23:59:59Z' } }),
    makePod('y', ready),
  ],
])('the pod %s goes first', (_why, victim, other) => {
  expect(first([victim, other])).toBe('x');
  expect(first([other, victim])).toBe('x');
});

test('of ready pods the one on the more crowded node goes first', () => {
  expect(first([makePod('x', ready), makePod('y', ready)], name => (name === 'y' ? 2 : 1))).toBe('y');
});

test('the order is total: equal pods are told apart by uid', () => {
  const pods = ['c', 'a', 'b'].map(name => makePod(name, ready));
  expect(rankForDeletion(pods, () => 0, now).map(pod => pod.metadata.name)).toEqual(['a', 'b', 'c']);
});
