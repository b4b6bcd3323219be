import type { ClusterRole } from '@naru/api';
import { keepsRole, keepsSubjects } from './repair';

const metadata = { name: 'r', labels: { a: '1' } };
const pods = { verbs: ['get'], apiGroups: [''], resources: ['pods'] };
const nodes = { verbs: ['get'], apiGroups: [''], resources: ['nodes'] };
const aggregationRule = { clusterRoleSelectors: [{ matchLabels: { a: '1' } }] };

test('a role gets back the rules and labels that it misses, and keeps what was added', () => {
  const changed = { metadata: { name: 'r', labels: { b: '2' } }, rules: [nodes] };
  const repaired = keepsRole(changed, { metadata, rules: [pods] } as ClusterRole);
  expect(repaired).toEqual({ metadata: { name: 'r', labels: { a: '1', b: '2' } }, rules: [nodes, pods] });
  expect(keepsRole(repaired!, { metadata, rules: [pods] } as ClusterRole)).toBeUndefined();
});

test('a role of before becomes one that is made up of others, whose rules are left to its controller', () => {
  const wanted = { metadata, aggregationRule, rules: [pods] } as ClusterRole;
  const repaired = keepsRole({ metadata: { name: 'r' }, rules: [nodes] } as ClusterRole, wanted);
  expect(repaired).toEqual({ metadata, aggregationRule, rules: [nodes] });
  expect(keepsRole(repaired!, wanted)).toBeUndefined();
});

test('roles and bindings that an administrator has taken over stay as they are', () => {
  const annotations = { 'rbac.authorization.kubernetes.io/autoupdate': 'false' };
  const theirs = { metadata: { name: 'r', annotations } };
  expect(keepsRole(theirs, { metadata, aggregationRule, rules: [pods] } as ClusterRole)).toBeUndefined();
  expect(keepsSubjects(theirs, { metadata, subjects: [{ kind: 'User', name: 'u' }] } as never)).toBeUndefined();
});
