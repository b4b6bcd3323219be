import { connectionFlags } from '@naru/client';
import type { FlagSpec, Flags } from '@naru/foundation';

export const hollowFlags = {
  ...connectionFlags,
  'health-address': { description: 'HOST:PORT of health and metrics', type: 'string', default: '127.0.0.1:10262' },
  nodes: { description: 'how many nodes to be', type: 'number', required: true },
  'node-prefix': { description: 'their names are PREFIX0, PREFIX1, ...', type: 'string', default: 'hollow-' },
  cpu: { description: 'capacity of each node', type: 'string', default: '32' },
  memory: { description: 'capacity of each node', type: 'string', default: '128Gi' },
  'max-pods': { description: 'capacity of each node', type: 'number', default: 110 },
  zones: { description: 'over how many zones they are spread', type: 'number', default: 3 },
  'register-with-taints': {
    description: 'key=value:Effect; by default only pods that ask for hollow nodes get there',
    type: 'list',
    default: ['naru.dev/hollow=true:NoSchedule'],
  },
  'lease-duration-seconds': { description: 'renewed four times as often', type: 'number', default: 40 },
  'pod-start-ms': { description: 'how long a pod takes to be Ready', type: 'number', default: 0 },
  'job-ms': { description: 'how long a pod of a Job works before it succeeds', type: 'number', default: 1_000 },
} as const satisfies Record<string, FlagSpec>;

export type HollowFlags = Flags<typeof hollowFlags>;
