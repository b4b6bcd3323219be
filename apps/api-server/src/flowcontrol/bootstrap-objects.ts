import type { FlowSchema, PriorityLevelConfiguration } from '@naru/api';

type SchemaSpec = NonNullable<FlowSchema['spec']>;
type Rules = NonNullable<SchemaSpec['rules']>[number];
type Subject = Rules['subjects'][number];

const apiVersion = 'flowcontrol.apiserver.k8s.io/v1';
const annotations = { 'apf.kubernetes.io/autoupdate-spec': 'true' };

const user = (name: string): Subject => ({ kind: 'User', user: { name } });
const group = (name: string): Subject => ({ kind: 'Group', group: { name } });
const account = (namespace: string, name = '*'): Subject => ({
  kind: 'ServiceAccount',
  serviceAccount: { namespace, name },
});
const everybody = [group('system:unauthenticated'), group('system:authenticated')];

const allUrls: Rules['nonResourceRules'] = [{ verbs: ['*'], nonResourceURLs: ['*'] }];

function resources(verbs: string, apiGroups: string, names: string): NonNullable<Rules['resourceRules']>[number] {
  return {
    verbs: verbs.split(','),
    apiGroups: [apiGroups],
    resources: names.split(','),
    clusterScope: true,
    namespaces: ['*'],
  };
}

const everything = (...subjects: Subject[]): Rules => ({
  subjects,
  resourceRules: [resources('*', '*', '*')],
  nonResourceRules: allUrls,
});

function limited(
  name: string,
  nominalConcurrencyShares: number,
  lendablePercent: number,
  queuing?: [queues: number, handSize: number],
): PriorityLevelConfiguration {
  const limitResponse = queuing
    ? { type: 'Queue', queuing: { queues: queuing[0], handSize: queuing[1], queueLengthLimit: 50 } }
    : { type: 'Reject' };
  return {
    apiVersion,
    kind: 'PriorityLevelConfiguration',
    metadata: { name, annotations },
    spec: { type: 'Limited', limited: { nominalConcurrencyShares, lendablePercent, limitResponse } },
  };
}

/** How much of the server each class of requests gets. Source: apiserver apis/flowcontrol/bootstrap. */
export const bootstrapPriorityLevels: readonly PriorityLevelConfiguration[] = [
  {
    apiVersion,
    kind: 'PriorityLevelConfiguration',
    metadata: { name: 'exempt', annotations },
    spec: { type: 'Exempt', exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
  },
  limited('catch-all', 5, 0),
  limited('system', 30, 33, [64, 6]),
  limited('node-high', 40, 25, [64, 6]),
  limited('leader-election', 10, 0, [16, 4]),
  limited('workload-high', 40, 50, [128, 6]),
  limited('workload-low', 100, 90, [128, 6]),
  limited('global-default', 20, 50, [128, 6]),
];

function schema(
  name: string,
  level: string,
  matchingPrecedence: number,
  distinguisher: 'ByUser' | 'ByNamespace' | undefined,
  ...rules: Rules[]
): FlowSchema {
  return {
    apiVersion,
    kind: 'FlowSchema',
    metadata: { name, annotations },
    spec: {
      priorityLevelConfiguration: { name: level },
      matchingPrecedence,
      ...(distinguisher ? { distinguisherMethod: { type: distinguisher } } : {}),
      rules,
    },
  };
}

const leases = resources('get,create,update', 'coordination.k8s.io', 'leases');
const endpoints = [
  resources('get,create,update', '', 'endpoints'),
  resources('get,create,update', 'discovery.k8s.io', 'endpointslices'),
];

/** Which request is of which class. The first that matches, by precedence, decides. */
export const bootstrapFlowSchemas: readonly FlowSchema[] = [
  schema('exempt', 'exempt', 1, undefined, everything(group('system:masters'))),
  schema('probes', 'exempt', 2, undefined, {
    subjects: everybody,
    nonResourceRules: [{ verbs: ['get'], nonResourceURLs: ['/healthz', '/readyz', '/livez'] }],
  }),
  schema('system-leader-election', 'leader-election', 100, 'ByUser', {
    subjects: [user('system:kube-controller-manager'), user('system:kube-scheduler')],
    resourceRules: [leases],
  }),
  schema('endpoint-controller', 'workload-high', 150, 'ByUser', {
    subjects: [
      user('system:kube-controller-manager'),
      account('kube-system', 'endpoint-controller'),
      account('kube-system', 'endpointslicemirroring-controller'),
    ],
    resourceRules: endpoints,
  }),
  schema('workload-leader-election', 'leader-election', 200, 'ByUser', {
    subjects: [account('kube-system')],
    resourceRules: [leases],
  }),
  schema('system-node-high', 'node-high', 400, 'ByUser', {
    subjects: [group('system:nodes')],
    resourceRules: [resources('*', '', 'nodes,nodes/status'), resources('*', 'coordination.k8s.io', 'leases')],
  }),
  schema('system-nodes', 'system', 500, 'ByUser', everything(group('system:nodes'))),
  schema(
    'kube-controller-manager',
    'workload-high',
    800,
    'ByNamespace',
    everything(user('system:kube-controller-manager')),
  ),
  schema('kube-scheduler', 'workload-high', 800, 'ByNamespace', everything(user('system:kube-scheduler'))),
  schema('kube-system-service-accounts', 'workload-high', 900, 'ByNamespace', everything(account('kube-system'))),
  schema('service-accounts', 'workload-low', 9000, 'ByUser', everything(group('system:serviceaccounts'))),
  schema('global-default', 'global-default', 9900, 'ByUser', everything(...everybody)),
  schema('catch-all', 'catch-all', 10000, 'ByUser', everything(...everybody)),
];
