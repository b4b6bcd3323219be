import type { PolicyRule } from './rbac';
import { describeRules, missingRules } from './rule-cover';

const rule = (verbs: string, resources: string, more: Partial<PolicyRule> = {}): PolicyRule => ({
  verbs: verbs.split(','),
  apiGroups: [''],
  resources: resources.split(','),
  ...more,
});
const urls = (...nonResourceURLs: string[]): PolicyRule => ({ verbs: ['get'], nonResourceURLs });

test.each<[held: PolicyRule[], wanted: PolicyRule, missing: string]>([
  [[rule('get,list', 'pods')], rule('get', 'pods'), ''],
  [[rule('get', 'pods'), rule('list', 'pods')], rule('get,list', 'pods'), ''],
  [[rule('*', '*', { apiGroups: ['*'] })], rule('*', '*', { apiGroups: ['*'] }), ''],
  [[rule('get,list', '*')], rule('*', 'pods'), '{APIGroups:[""], Resources:["pods"], Verbs:["*"]}'],
  [
    [rule('get', 'pods')],
    rule('list,get,watch', 'pods,secrets'),
    [
      '{APIGroups:[""], Resources:["pods"], Verbs:["list" "watch"]}',
      '{APIGroups:[""], Resources:["secrets"], Verbs:["list" "get" "watch"]}',
    ].join('\n'),
  ],
  [
    [rule('get', 'pods')],
    rule('get', 'pods', { apiGroups: ['apps'] }),
    '{APIGroups:["apps"], Resources:["pods"], Verbs:["get"]}',
  ],
  [[rule('get', '*/log')], rule('get', 'pods/log'), ''],
  [[rule('get', 'pods')], rule('get', 'pods/log'), '{APIGroups:[""], Resources:["pods/log"], Verbs:["get"]}'],
  [[rule('get', '*/log')], rule('get', 'pods'), '{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'],
  [[rule('get', 'pods')], rule('get', 'pods', { resourceNames: ['one'] }), ''],
  [
    [rule('get', 'pods', { resourceNames: ['one'] })],
    rule('get', 'pods', { resourceNames: ['one', 'two'] }),
    '{APIGroups:[""], Resources:["pods"], ResourceNames:["two"], Verbs:["get"]}',
  ],
  [
    [rule('get', 'pods', { resourceNames: ['one'] })],
    rule('get', 'pods'),
    '{APIGroups:[""], Resources:["pods"], Verbs:["get"]}',
  ],
  [[urls('/healthz', '/metrics/*')], urls('/healthz', '/metrics/*', '/metrics/a'), ''],
  [[urls('*')], urls('/anything'), ''],
  [[urls('/metrics/*')], urls('/metrics'), '{NonResourceURLs:["/metrics"], Verbs:["get"]}'],
  [[rule('get', '*', { apiGroups: ['*'] })], urls('/healthz'), '{NonResourceURLs:["/healthz"], Verbs:["get"]}'],
  [[urls('*')], rule('get', 'pods'), '{APIGroups:[""], Resources:["pods"], Verbs:["get"]}'],
])('who holds %j and gives %j gives more by %s', (held, wanted, missing) => {
  expect(describeRules(missingRules(held, [wanted]))).toBe(missing);
});
