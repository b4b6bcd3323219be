import { definitions } from '../scheme/definitions';
import { Scheme } from '../scheme/scheme';
import { aggregatedDiscovery, apiGroup, apiGroupList, apiResourceList } from './discovery';

const scheme = new Scheme(definitions);

test('the group list names each group once, with its preferred version', () => {
  const { groups } = apiGroupList(scheme) as { groups: { name: string; preferredVersion: unknown }[] };
  expect(new Set(groups.map(g => g.name)).size).toBe(groups.length);
  expect(groups.find(g => g.name === 'apps')).toMatchObject({
    versions: [{ groupVersion: 'apps/v1', version: 'v1' }],
    preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
  });
  expect(groups.find(g => g.name === '')).toBeUndefined();
  expect(apiGroup(scheme, 'nope')).toBeUndefined();
});

test('the core resources come with subresources of other kinds', () => {
  const { resources } = apiResourceList(scheme, '', 'v1') as { resources: { name: string }[] };
  const named = (name: string): unknown => resources.find(r => r.name === name);
  expect(named('pods')).toMatchObject({ kind: 'Pod', singularName: 'pod', shortNames: ['po'], categories: ['all'] });
  expect(named('pods/eviction')).toMatchObject({ group: 'policy', version: 'v1', kind: 'Eviction', verbs: ['create'] });
  expect(named('pods/status')).toMatchObject({ kind: 'Pod', verbs: ['get', 'patch', 'update'] });
  expect(named('namespaces')).toMatchObject({ namespaced: false });
  expect(apiResourceList(scheme, 'apps', 'v2')).toBeUndefined();
});

test('what is only posted is discovered, and has no place in the store', () => {
  const { resources } = apiResourceList(scheme, 'authorization.k8s.io', 'v1') as { resources: object[] };
  const review = resources.find(r => (r as { name: string }).name === 'selfsubjectaccessreviews');
  expect(review).toEqual({
    name: 'selfsubjectaccessreviews',
    singularName: 'selfsubjectaccessreview',
    namespaced: false,
    kind: 'SelfSubjectAccessReview',
    verbs: ['create'],
  });
});

test('aggregated discovery holds the same as the lists', () => {
  const { items } = aggregatedDiscovery(scheme, 'apis') as {
    items: { metadata: { name: string }; versions: { resources: { resource: string }[] }[] }[];
  };
  const apps = items.find(i => i.metadata.name === 'apps');
  expect(apps?.versions[0]?.resources.find(r => r.resource === 'deployments')).toMatchObject({
    responseKind: { group: 'apps', version: 'v1', kind: 'Deployment' },
    scope: 'Namespaced',
    subresources: [
      { subresource: 'scale', responseKind: { group: 'autoscaling', version: 'v1', kind: 'Scale' } },
      { subresource: 'status' },
    ],
  });
});
