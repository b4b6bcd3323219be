import type { DaemonSet, Node, Pod, Stored } from '@naru/api';
import { makeNode, makePod } from '../../fixtures';
import { daemonState, type DaemonState } from './daemon-state';
import { compileNodeFit, daemonPodSpec, targetNode } from './node-fit';
import { planPods, planRollingUpdate } from './plan';
import { daemonSetStatus } from './status';

type Strategy = NonNullable<NonNullable<DaemonSet['spec']>['updateStrategy']>;

function makeSet(updateStrategy: Strategy = { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 1 } }) {
  return {
    metadata: { namespace: 'default', name: 'agent', uid: 'agent', resourceVersion: '1', generation: 1 },
    spec: {
      selector: { matchLabels: { app: 'agent' } },
      updateStrategy,
      template: { metadata: { labels: { app: 'agent' } }, spec: { containers: [{ name: 'main', image: 'web:1' }] } },
    },
  } as Stored<DaemonSet>;
}

/** "a": on node a, of the present template, ready. A "-" after the name: not ready; "!" of an older template. */
function podOn(mark: string, index: number, phase = 'Running'): Stored<Pod> {
  const labels = { app: 'agent', 'controller-revision-hash': mark.includes('!') ? 'old' : 'new' };
  return makePod(`pod-${index}`, { nodeName: mark.charAt(0), labels, ready: !mark.includes('-'), phase });
}

function stateOf(marks: string[], input: { set?: Stored<DaemonSet>; nodes?: Stored<Node>[] } = {}): DaemonState {
  const { set = makeSet(), nodes = ['a', 'b', 'c'].map(name => makeNode(name)) } = input;
  const pods = marks.map((mark, index) => podOn(mark, index));
  return daemonState({ set, hash: 'new', nodes, pods, isDeleted: () => false, now: Date.parse('2026-06-01') });
}

const names = (pods: Stored<Pod>[]) => pods.map(({ metadata }) => metadata.name);

test.each<[string, string[], string[], string[]]>([
  ['an empty cluster gets one a node', [], ['a', 'b', 'c'], []],
  ['what is there stays', ['a', 'b'], ['c'], []],
  ['of two on a node the older stays', ['a', 'a', 'b', 'c'], [], ['pod-1']],
])('%s', (_what, marks, create, remove) => {
  const plan = planPods(stateOf(marks));
  expect(plan.create).toEqual(create);
  expect(names(plan.delete)).toEqual(remove);
});

test('pods leave nodes that no longer fit, and pods for nodes that are gone go', () => {
  const state = stateOf(['a', 'b'], {
    nodes: [makeNode('a', { spec: { taints: [{ key: 'x', effect: 'NoExecute' }] } })],
  });
  expect(names(planPods(state).delete)).toEqual(['pod-0']);
  const waiting = makePod('waiting', { spec: daemonPodSpec({ containers: [] }, 'gone') });
  expect(targetNode(waiting)).toBe('gone');
});

test('a failed pod is deleted and counts as ended', () => {
  const state = stateOf([]);
  const failed = podOn('a', 9, 'Failed');
  state.nodes[0]?.pods.push(failed);
  const plan = planPods(state);
  expect(plan.delete).toEqual([failed]);
  expect(plan.ended.has(failed)).toBe(true);
});

test.each<[string, Strategy['rollingUpdate'], string[], string[], string[]]>([
  ['one at a time', { maxUnavailable: 1 }, ['a!', 'b!', 'c!'], [], ['pod-0']],
  ['none while one is away', { maxUnavailable: 1 }, ['a-', 'b!', 'c!'], [], []],
  ['a share of the nodes', { maxUnavailable: '50%' }, ['a!', 'b!', 'c!'], [], ['pod-0', 'pod-1']],
  ['broken ones first and all', { maxUnavailable: 1 }, ['a!-', 'b!-', 'c!'], [], ['pod-0', 'pod-1']],
  ['surge adds before it takes away', { maxUnavailable: 0, maxSurge: 1 }, ['a!', 'b!', 'c!'], ['a'], []],
  ['surge waits for the new one', { maxUnavailable: 0, maxSurge: 1 }, ['a!', 'a-', 'b!', 'c!'], [], []],
  [
    'surge takes the old one and goes on',
    { maxUnavailable: 0, maxSurge: 1 },
    ['a!', 'a', 'b!', 'c!'],
    ['b'],
    ['pod-0'],
  ],
])('a rolling update: %s', (_what, rollingUpdate, marks, create, remove) => {
  const set = makeSet({ type: 'RollingUpdate', rollingUpdate: { ...rollingUpdate } });
  const plan = planRollingUpdate(stateOf(marks, { set }));
  expect(plan.create).toEqual(create);
  expect(names(plan.delete)).toEqual(remove);
});

test('daemons tolerate what nodes suffer, but not every taint', () => {
  const fit = compileNodeFit({ containers: [] });
  const tainted = (key: string, effect: string) => fit(makeNode('n', { spec: { taints: [{ key, effect }] } }));
  expect(tainted('node.kubernetes.io/unschedulable', 'NoSchedule')).toEqual({ shouldRun: true, shouldContinue: true });
  expect(tainted('node.kubernetes.io/unreachable', 'NoExecute')).toEqual({ shouldRun: true, shouldContinue: true });
  expect(tainted('gpu', 'NoSchedule')).toEqual({ shouldRun: false, shouldContinue: true });
  expect(tainted('gpu', 'NoExecute')).toEqual({ shouldRun: false, shouldContinue: false });
  const picky = compileNodeFit({ containers: [], nodeSelector: { disk: 'ssd' } });
  expect(picky(makeNode('n'))).toEqual({ shouldRun: false, shouldContinue: false });
});

test('the status counts nodes', () => {
  expect(daemonSetStatus(stateOf(['a', 'b!', 'c-']), undefined)).toMatchObject({
    desiredNumberScheduled: 3,
    currentNumberScheduled: 3,
    numberReady: 2,
    numberAvailable: 2,
    numberUnavailable: 1,
    updatedNumberScheduled: 2,
  });
});
