import { configMaps, pods } from '@naru/api';
import { deletionConditions } from './deletion-conditions';

test('the conditions of a namespace that goes tell what is left, what holds it and what failed', () => {
  const results = [
    { type: pods, count: 2, finalizers: ['a.example.com/f', 'a.example.com/f'] },
    { type: configMaps, count: 0, finalizers: [], error: new Error('no') },
  ];
  const conditions = deletionConditions(results, ['ext.example.com/v1: gone'], [], 0);
  expect(conditions.map(({ type, status, reason, message }) => [type, status, reason, message])).toEqual([
    [
      'NamespaceDeletionDiscoveryFailure',
      'True',
      'DiscoveryFailed',
      'Discovery failed for some groups, 1 failing: unable to retrieve the complete list of server APIs: ext.example.com/v1: gone',
    ],
    [
      'NamespaceDeletionGroupVersionParsingFailure',
      'False',
      'ParsedGroupVersions',
      'All legacy kube types successfully parsed',
    ],
    [
      'NamespaceDeletionContentFailure',
      'True',
      'ContentDeletionFailed',
      'Failed to delete all resource types, 1 remaining: no',
    ],
    [
      'NamespaceContentRemaining',
      'True',
      'SomeResourcesRemain',
      'Some resources are remaining: pods. has 2 resource instances',
    ],
    [
      'NamespaceFinalizersRemaining',
      'True',
      'SomeFinalizersRemain',
      'Some content in the namespace has finalizers remaining: a.example.com/f in 2 resource instances',
    ],
  ]);
  const later = deletionConditions([{ type: pods, count: 1, finalizers: [] }], [], conditions, 60_000);
  const timeOf = (type: string): unknown => later.find(condition => condition.type === type)?.lastTransitionTime;
  expect(timeOf('NamespaceContentRemaining')).toBe('1970-01-01T00:00:00Z');
  expect(timeOf('NamespaceFinalizersRemaining')).toBe('1970-01-01T00:01:00Z');
});
