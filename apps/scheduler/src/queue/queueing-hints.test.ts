import { createPodInfo } from '../cache/pod-info';
import { createLab, makeNode, makePod, restartAll, type NodeInput, type PodInput } from '../fixtures';
import type { ClusterEvent } from '../framework/types';

/** Is a pod that was refused brought back by the event on a node that is now like this? */
function comesBack(pod: PodInput, refusedOn: NodeInput, event: ClusterEvent, now: NodeInput): boolean {
  const lab = createLab([makeNode('a', refusedOn)]);
  expect(lab.schedule(pod).node).toBeUndefined();
  lab.scheduler.cache.setNode(makeNode('a', now));
  lab.scheduler.moveOn({ event, node: lab.scheduler.cache.getNode('a') });
  return lab.scheduler.queue.pending.unschedulable === 0;
}

const { feature, pod } = restartAll;
const gpuTaint = { key: 'gpu', value: 'true', effect: 'NoSchedule' };

test.each<[string, PodInput, NodeInput, ClusterEvent, NodeInput, boolean]>([
  ['room enough', { cpu: '4' }, { cpu: '2' }, 'NodeAllocatable', { cpu: '4' }, true],
  ['still too little room', { cpu: '4' }, { cpu: '2' }, 'NodeAllocatable', { cpu: '3' }, false],
  ['the taint gone', {}, { taints: [gpuTaint] }, 'NodeTaints', {}, true],
  ['another taint', {}, { taints: [gpuTaint] }, 'NodeTaints', { taints: [{ ...gpuTaint, value: 'no' }] }, false],
  ['the wanted label', { nodeSelector: { disk: 'ssd' } }, {}, 'NodeLabels', { labels: { disk: 'ssd' } }, true],
  ['a label of no use', { nodeSelector: { disk: 'ssd' } }, {}, 'NodeLabels', { labels: { disk: 'hdd' } }, false],
  ['uncordoned', {}, { unschedulable: true }, 'NodeTaints', {}, true],
  ['still cordoned', {}, { unschedulable: true }, 'NodeTaints', { unschedulable: true }, false],
  ['the feature it needs', pod, {}, 'NodeDeclaredFeatures', { declaredFeatures: [feature] }, true],
  ['a feature of no use', pod, {}, 'NodeDeclaredFeatures', { declaredFeatures: ['Other'] }, false],
  ['an event that its plugin does not wait for', { cpu: '4' }, { cpu: '2' }, 'NodeLabels', { cpu: '4' }, false],
])('a node with %s decides whether a waiting pod is tried again', (_what, pod, before, event, now, expected) => {
  expect(comesBack(pod, before, event, now)).toBe(expected);
});

test('a pod that leaves brings back those that fit into its room only', () => {
  const lab = createLab([makeNode('a', { cpu: '4' })]);
  lab.place('a', { name: 'one', cpu: '1' });
  lab.place('a', { name: 'two', cpu: '2' });
  lab.schedule({ name: 'big', cpu: '4' });
  lab.schedule({ name: 'small', cpu: '2' });
  const leave = (name: string): void => {
    lab.scheduler.cache.removePod(`uid-${name}`);
    lab.scheduler.moveOn({ event: 'AssignedPodDelete', node: lab.scheduler.cache.getNode('a') });
  };
  leave('one');
  expect(lab.scheduler.queue.get('uid-big')?.where).toBe('unschedulable');
  expect(lab.scheduler.queue.get('uid-small')?.where).toBe('backoff');
  leave('two');
  expect(lab.scheduler.queue.get('uid-big')?.where).toBe('backoff');
});

test('a changed pod is tried again', () => {
  const lab = createLab([makeNode('a')]);
  lab.schedule({ name: 'picky', nodeSelector: { disk: 'ssd' } });
  const changed = makePod({ name: 'picky' });
  lab.scheduler.enqueue(changed, true);
  expect(lab.scheduler.queue.get(createPodInfo(changed).uid)?.where).toBe('backoff');
});
