import type { ReplicaSet, Stored } from '@naru/api';
import { createLab, makeNode } from '../fixtures';

test('the emptier node is preferred', () => {
  const lab = createLab([makeNode('a'), makeNode('b')]);
  lab.place('a', { cpu: '2', memory: '4Gi' });
  expect(lab.schedule({ cpu: '100m', memory: '100Mi' })).toEqual({ node: 'b' });
});

test('a PreferNoSchedule taint is avoided', () => {
  const lab = createLab([makeNode('a', { taints: [{ key: 'k', effect: 'PreferNoSchedule' }] }), makeNode('b')]);
  lab.place('b', { cpu: '1' });
  expect(lab.schedule({})).toEqual({ node: 'b' });
});

test('preferred node affinity outweighs a little load', () => {
  const lab = createLab([makeNode('a', { labels: { disk: 'ssd' } }), makeNode('b')]);
  lab.place('a', { cpu: '500m' });
  const preference = { matchExpressions: [{ key: 'disk', operator: 'In', values: ['ssd'] }] };
  expect(
    lab.schedule({
      affinity: {
        nodeAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, preference }] },
      },
    }),
  ).toEqual({ node: 'a' });
});

test('a large image that is there already draws the pod', () => {
  const images = [{ names: ['web:latest'], sizeBytes: 900 * 1024 * 1024 }];
  const lab = createLab([makeNode('a'), makeNode('b', { images })]);
  expect(lab.schedule({})).toEqual({ node: 'b' });
});

test('the pods of a ReplicaSet spread over nodes without being asked to', () => {
  const replicaSet = { spec: { selector: { matchLabels: { app: 'x' } } } } as unknown as Stored<ReplicaSet>;
  const none = { get: () => undefined, list: () => [], byIndex: () => [], size: 0 };
  const lab = createLab([makeNode('a'), makeNode('b'), makeNode('c')], {
    listers: { services: none, statefulSets: none, budgets: none, replicaSets: { ...none, get: () => replicaSet } },
  });
  const nodes = Array.from(
    { length: 6 },
    () => lab.schedule({ labels: { app: 'x' }, owner: { kind: 'ReplicaSet', name: 'x' } }).node,
  );
  expect(nodes.sort()).toEqual(['a', 'a', 'b', 'b', 'c', 'c']);
});

test('preferred anti-affinity goes elsewhere while it can', () => {
  const lab = createLab([makeNode('a'), makeNode('b')]);
  lab.place('b', { cpu: '1' });
  lab.place('a', { labels: { app: 'noisy' } });
  const podAffinityTerm = {
    topologyKey: 'kubernetes.io/hostname',
    labelSelector: { matchLabels: { app: 'noisy' } },
  };
  expect(
    lab.schedule({
      affinity: {
        podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, podAffinityTerm }] },
      },
    }),
  ).toEqual({ node: 'b' });
});
