import type { KubeObject, Pod, PodSpec, ResourceQuota } from '../types';
import { formatQuantities } from './quantities';
import { countName, coveredNames, missingAmounts, quotaMatches, quotaUsage } from './usage';

const now = Date.parse('2026-01-01T00:00:00Z');
const core = (resource: string): { group: string; resource: string } => ({ group: '', resource });
const podType = core('pods');

const usageOf = (type: { group: string; resource: string }, object: KubeObject): Record<string, string> =>
  formatQuantities(quotaUsage(type, object, now));

const pod = (resources: object, more: Partial<Pod> = {}): Pod =>
  ({ spec: { containers: [{ name: 'main', image: 'x', resources }] }, ...more }) as Pod;

test('objects are counted under a name with their group', () => {
  expect(countName(podType)).toBe('count/pods');
  expect(countName({ group: 'apps', resource: 'deployments' })).toBe('count/deployments.apps');
});

test.each([
  ['no amounts', {}, {}],
  [
    'requests and limits',
    { requests: { cpu: '100m', memory: '1Gi' }, limits: { cpu: '1' } },
    { cpu: '100m', memory: '1Gi', 'requests.cpu': '100m', 'requests.memory': '1Gi', 'limits.cpu': '1' },
  ],
  [
    'huge pages, which have no limit of their own',
    { requests: { 'hugepages-2Mi': '4Mi' }, limits: { 'hugepages-2Mi': '4Mi' } },
    { 'hugepages-2Mi': '4Mi', 'requests.hugepages-2Mi': '4Mi' },
  ],
  [
    'an extended resource, by its request alone',
    { requests: { 'example.com/gpu': '2' }, limits: { 'example.com/gpu': '2' } },
    { 'requests.example.com/gpu': '2' },
  ],
  ['a resource of Kubernetes that nobody counts', { requests: { 'kubernetes.io/thing': '2' } }, {}],
])('a quota counts of a pod with %s', (_, resources, expected) => {
  expect(usageOf(podType, pod(resources))).toEqual({ 'count/pods': '1', pods: '1', ...expected });
});

test.each([
  ['failed', { status: { phase: 'Failed' } }, false],
  ['succeeded', { status: { phase: 'Succeeded' } }, false],
  ['runs', { status: { phase: 'Running' } }, true],
  ['is being deleted', deletedAt('2025-12-31T23:59:50Z', 30), true],
  ['is long overdue to be gone', deletedAt('2025-12-31T23:59:50Z', 5), false],
  ['is being deleted without a time', deletedAt('2025-12-31T23:59:50Z', undefined), true],
])('a pod that %s has its amounts counted, or not: case %#', (_, state, counted) => {
  const usage = usageOf(podType, pod({ requests: { cpu: '1' } }, state as Partial<Pod>));
  expect(usage).toEqual({ 'count/pods': '1', ...(counted ? { pods: '1', cpu: '1', 'requests.cpu': '1' } : {}) });
});

function deletedAt(deletionTimestamp: string, deletionGracePeriodSeconds: number | undefined): Partial<Pod> {
  return { metadata: { name: 'p', deletionTimestamp, deletionGracePeriodSeconds } } as Partial<Pod>;
}

const ports = [{ port: 1, nodePort: 30001 }, { port: 2 }];
test.each([
  [{ ports }, '0', '0'],
  [{ type: 'NodePort', ports }, '2', '0'],
  [{ type: 'LoadBalancer', ports }, '2', '1'],
  [{ type: 'LoadBalancer', allocateLoadBalancerNodePorts: false, ports }, '1', '1'],
])('the Service %j takes %s node ports and %s load balancers', (spec, nodePorts, balancers) => {
  expect(usageOf(core('services'), { spec } as KubeObject)).toEqual({
    'count/services': '1',
    services: '1',
    'services.nodeports': nodePorts,
    'services.loadbalancers': balancers,
  });
});

test('a claim takes of the quota of its storage class, too', () => {
  const claim = (storageClassName?: string): KubeObject =>
    ({ spec: { storageClassName, resources: { requests: { storage: '5Gi' } } } }) as KubeObject;
  const plain = { 'count/persistentvolumeclaims': '1', persistentvolumeclaims: '1', 'requests.storage': '5Gi' };
  expect(usageOf(core('persistentvolumeclaims'), claim())).toEqual(plain);
  expect(usageOf(core('persistentvolumeclaims'), claim('gold'))).toEqual({
    ...plain,
    'gold.storageclass.storage.k8s.io/persistentvolumeclaims': '1',
    'gold.storageclass.storage.k8s.io/requests.storage': '5Gi',
  });
});

test.each([
  [core('secrets'), { 'count/secrets': '1', secrets: '1' }],
  [core('endpoints'), { 'count/endpoints': '1' }],
  [{ group: 'apps', resource: 'secrets' }, { 'count/secrets.apps': '1' }],
])('an object of %j counts as %j', (type, expected) => expect(usageOf(type, {} as KubeObject)).toEqual(expected));

const hard = [
  'pods',
  'count/pods',
  'cpu',
  'limits.memory',
  'requests.example.com/gpu',
  'example.com/gpu',
  'hugepages-2Mi',
  'services',
  'services.nodeports',
  'persistentvolumeclaims',
  'requests.storage',
  'gold.storageclass.storage.k8s.io/requests.storage',
  'configmaps',
  'count/deployments.apps',
];
test.each([
  [podType, ['pods', 'count/pods', 'cpu', 'limits.memory', 'requests.example.com/gpu', 'hugepages-2Mi']],
  [core('services'), ['services', 'services.nodeports']],
  [
    core('persistentvolumeclaims'),
    ['persistentvolumeclaims', 'requests.storage', 'gold.storageclass.storage.k8s.io/requests.storage'],
  ],
  [core('configmaps'), ['configmaps']],
  [{ group: 'apps', resource: 'deployments' }, ['count/deployments.apps']],
  [core('endpoints'), []],
])('objects of %j count towards %j', (type, expected) => expect(coveredNames(type, hard)).toEqual(expected));

test.each<[string, NonNullable<ResourceQuota['spec']>, Partial<PodSpec>, boolean]>([
  ['without a scope', {}, {}, true],
  ['BestEffort', { scopes: ['BestEffort'] }, {}, true],
  ['NotBestEffort', { scopes: ['NotBestEffort'] }, {}, false],
  ['Terminating', { scopes: ['Terminating'] }, { activeDeadlineSeconds: 0 }, true],
  ['Terminating', { scopes: ['Terminating'] }, {}, false],
  ['both', { scopes: ['BestEffort', 'NotTerminating'] }, { activeDeadlineSeconds: 5 }, false],
  ['of its priority', priority('In', ['high']), { priorityClassName: 'high' }, true],
  ['of another priority', priority('In', ['low']), { priorityClassName: 'high' }, false],
  ['of any priority', priority('Exists', []), {}, false],
  ['of no priority', priority('DoesNotExist', []), {}, true],
  ['of pods that look elsewhere', { scopes: ['CrossNamespacePodAffinity'] }, {}, false],
  ['of pods that look elsewhere', { scopes: ['CrossNamespacePodAffinity'] }, besides({ namespaces: ['n'] }), true],
  ['of pods that look elsewhere', { scopes: ['CrossNamespacePodAffinity'] }, besides({ namespaceSelector: {} }), true],
])('a quota %s (%j) is for a pod with %j: %s', (_, spec, more, matches) => {
  const { spec: plain } = pod({});
  const object = { spec: { ...plain, ...more } } as KubeObject;
  expect(quotaMatches({ spec }, podType, object, ['pods'])).toBe(matches);
});

function priority(operator: string, values: string[]): NonNullable<ResourceQuota['spec']> {
  return { scopeSelector: { matchExpressions: [{ scopeName: 'PriorityClass', operator, values }] } };
}

function besides(term: object): Partial<PodSpec> {
  const podAffinityTerm = { topologyKey: 'zone', ...term };
  return {
    affinity: {
      podAntiAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm }] },
    },
  } as Partial<PodSpec>;
}

test('a quota of pods by scope is for nothing else', () => {
  const quota: ResourceQuota = { spec: { scopes: ['BestEffort'] } };
  expect(quotaMatches(quota, core('services'), {} as KubeObject, ['services'])).toBe(false);
  expect(quotaMatches({ spec: {} }, core('services'), {} as KubeObject, ['pods'])).toBe(false);
});

test('what a pod leaves out of that which a quota limits is named, with the containers', () => {
  const limited = ['limits.memory', 'cpu', 'pods', 'requests.storage'];
  const half = { name: 'b', image: 'x', resources: { requests: { cpu: '1' } } };
  const containers = [half, { name: 'a', image: 'x' }] as PodSpec['containers'];
  const init = [{ name: 'init', image: 'x', resources: { requests: { cpu: '1' }, limits: { memory: '1' } } }];
  const spec = { containers, initContainers: init as PodSpec['containers'] };
  expect(missingAmounts({ spec }, limited)).toBe('must specify cpu for: a; limits.memory for: a,b');
  expect(missingAmounts({ spec }, ['pods'])).toBeUndefined();
  const ofThePod = { ...spec, resources: { limits: { memory: '1Gi' } } } as PodSpec;
  expect(missingAmounts({ spec: ofThePod }, limited)).toBeUndefined();
});
