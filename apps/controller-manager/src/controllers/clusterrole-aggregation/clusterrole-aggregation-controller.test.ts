import { clusterRoles, type ClusterRole } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { clusterRoleAggregationController } from './clusterrole-aggregation-controller';

const role = (name: string, resource: string): ClusterRole => ({
  metadata: { name, labels: { 'for-all': 'true' } },
  rules: [{ apiGroups: [''], resources: [resource], verbs: ['get'] }],
});

test('an aggregated role has the rules of those it selects, and follows them', async () => {
  const api = new MemoryObjects();
  const cluster = await startControllers([clusterRoleAggregationController], { api });
  api.seed(clusterRoles, {
    metadata: { name: 'all' },
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { 'for-all': 'true' } }] },
    rules: [],
  });
  for (const [name, resource] of [
    ['b', 'services'],
    ['a', 'pods'],
    ['c', 'pods'],
  ] as const)
    api.seed(clusterRoles, role(name, resource));
  const expectResources = (...resources: string[]) =>
    eventually(async () => {
      const { rules } = await api.get(clusterRoles, { name: 'all' });
      expect(rules?.map(rule => rule.resources?.[0])).toEqual(resources);
    });
  await expectResources('pods', 'services');
  await api.delete(clusterRoles, { name: 'b' });
  await expectResources('pods');
  await cluster.stop();
});

convergenceSuite([clusterRoleAggregationController], {
  objects(api) {
    const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { 'for-all': 'true' } }] };
    api.seed(clusterRoles, { metadata: { name: 'all' }, aggregationRule, rules: [] });
    api.seed(clusterRoles, role('a', 'pods'));
    api.seed(clusterRoles, role('b', 'services'));
  },
  steps: [
    client => client.create(clusterRoles, role('c', 'nodes')),
    client => client.delete(clusterRoles, { name: 'a' }),
  ],
  async expectEnd(api) {
    const { rules } = await api.get(clusterRoles, { name: 'all' });
    expect(rules?.map(rule => rule.resources?.[0])).toEqual(['services', 'nodes']);
  },
});
