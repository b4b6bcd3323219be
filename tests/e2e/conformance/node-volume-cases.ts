import type { Pod, Volume } from '@naru/api';
import { limits, once, script, type PodCase } from './node-pod-cases';

type Items = NonNullable<NonNullable<Volume['downwardAPI']>['items']>;

const resources = ['limits.cpu', 'limits.memory', 'requests.cpu', 'requests.memory'];
const amounts: Items = resources.map(resource => ({
  path: resource,
  resourceFieldRef: { containerName: 'main', resource },
}));
const own: Items = [{ path: 'podname', fieldRef: { fieldPath: 'metadata.name' } }];

/** What the downward API says in files. */
const kinds: [string, (items: Items) => Volume][] = [
  ['downward API volume', items => ({ name: 'info', downwardAPI: { items } })],
  ['projected volume', items => ({ name: 'info', projected: { sources: [{ downwardAPI: { items } }] } })],
];
const volumeMounts = [{ name: 'info', mountPath: '/etc/info' }];
const show = 'cd /etc/info && for f in *; do echo "$f=$(cat $f)"; done';

export const volumeCases: PodCase[] = [
  ...kinds.flatMap(([kind, volume]): PodCase[] => [
    {
      name: `reads its name, limits and requests in a ${kind}`,
      spec: once(script(show, { volumeMounts, resources: { limits, requests: { cpu: '250m', memory: '32Mi' } } }), {
        volumes: [volume([...own, ...amounts])],
      }),
      output: ({ metadata }: Pod) => [
        `podname=${metadata?.name}`,
        'limits.cpu=2',
        'limits.memory=67108864',
        'requests.cpu=1',
        'requests.memory=33554432',
      ],
    },
    {
      name: `reads in a ${kind} what the node has, for limits that it does not have`,
      spec: once(script(show, { volumeMounts }), { volumes: [volume(amounts.slice(0, 2))] }),
      output: [/^limits\.cpu=[1-9]\d*$/m, /^limits\.memory=[1-9]\d{7,}$/m],
    },
  ]),
  {
    name: 'reads the Secret of its namespace, whatever others are called so',
    spec: once(script(show, { volumeMounts }), { volumes: [{ name: 'info', secret: { secretName: 'letters' } }] }),
    output: ['data_1=secret-1', 'data_2=secret-2'],
  },
];
