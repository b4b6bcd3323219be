import { create, refusals, updateRefusals } from '../testing/refusals';
import { limitRangeKind } from './limit-range';
import { resourceQuotaKind } from './resource-quota';

const metadata = { name: 'q' };

test('a quota counts standard resources, other kinds and extended resources', () => {
  const hard = { pods: '5', 'requests.cpu': '1', 'count/deployments.apps': '2', 'requests.example.com/gpu': '1' };
  expect(refusals(resourceQuotaKind, { metadata, spec: { hard } })).toEqual([]);
});

test.each<[string, object, string[]]>([
  [
    'an unknown resource',
    { hard: { apples: '1' } },
    ['spec.hard[apples]: Invalid value: "apples": must be a standard resource for quota'],
  ],
  [
    'less than nothing',
    { hard: { cpu: '-1' } },
    ['spec.hard[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
  ],
  ['half a pod', { hard: { pods: '500m' } }, ['spec.hard[pods]: Invalid value: "500m": must be an integer']],
  [
    'scopes that exclude each other',
    { hard: { pods: '1' }, scopes: ['BestEffort', 'NotBestEffort'] },
    ['spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes'],
  ],
  [
    'a scope without its resource',
    { hard: { services: '1' }, scopes: ['Terminating'] },
    ['spec.scopes: Invalid value: ["Terminating"]: unsupported scope applied to resource'],
  ],
  [
    'a scope selector without values',
    { hard: { pods: '1' }, scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator: 'In' }] } },
    [
      "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
    ],
  ],
])('a quota of %s is refused', (_, spec, expected) => {
  expect(refusals(resourceQuotaKind, { metadata, spec })).toEqual(expected);
});

test('the scopes of a quota do not change', () => {
  const body = { metadata, spec: { hard: { pods: '1' }, scopes: ['Terminating'] } };
  expect(updateRefusals(resourceQuotaKind, body, o => (o.spec!.scopes = []))).toEqual([
    'spec.scopes: Invalid value: []: field is immutable',
  ]);
});

test('the table of a quota shows requests and limits apart', () => {
  const o = create(resourceQuotaKind, { metadata });
  o.status = { hard: { 'limits.cpu': '4', pods: '10', cpu: '2' }, used: { pods: '3', cpu: '1' } };
  expect(resourceQuotaKind.columns.map(column => column.cell(o, 0)).slice(0, 3)).toEqual([
    'q',
    'cpu: 1/2, pods: 3/10',
    'limits.cpu: 0/4',
  ]);
});

test('what a limit range does not say of containers follows from their bounds', () => {
  const limits = [{ type: 'Container', max: { cpu: '2' }, min: { memory: '1Mi', cpu: '1' } }];
  expect(create(limitRangeKind, { spec: { limits } }).spec?.limits[0]).toMatchObject({
    default: { cpu: '2' },
    defaultRequest: { cpu: '2', memory: '1Mi' },
  });
});

test.each<[string, object, string]>([
  [
    'bounds that cross',
    { type: 'Container', min: { cpu: '2' }, max: { cpu: '1' } },
    'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
  ],
  [
    'defaults for whole pods',
    { type: 'Pod', default: { cpu: '1' } },
    "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
  ],
  [
    'a claim without bounds',
    { type: 'PersistentVolumeClaim' },
    'spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided',
  ],
  [
    'a ratio that cannot be',
    { type: 'Pod', maxLimitRequestRatio: { cpu: '500m' } },
    'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "500m": ratio 500m is less than 1',
  ],
  [
    'a default beyond its bound',
    { type: 'Container', max: { cpu: '1' }, default: { cpu: '3' } },
    'spec.limits[0].default[cpu]: Invalid value: "3": default value 3 is greater than max value 1',
  ],
])('a limit range with %s is refused', (_, item, expected) => {
  expect(refusals(limitRangeKind, { metadata, spec: { limits: [item] } })).toContain(expected);
});
