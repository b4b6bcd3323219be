import { connectionFlags } from '@naru/client';

/** Upstream's names. */
export const schedulerFlags = {
  ...connectionFlags,
  'health-address': { description: 'where to serve /healthz and /metrics', type: 'string', default: '127.0.0.1:10259' },
  'leader-elect': {
    description: 'place pods only while holding the Lease kube-scheduler',
    type: 'boolean',
    default: true,
  },
  'scheduler-name': {
    description: 'place the pods that ask for this name',
    type: 'string',
    default: 'default-scheduler',
  },
  'percentage-of-nodes-to-score': {
    description: 'how many nodes are enough to choose from; 0 adapts to the size of the cluster',
    type: 'number',
    default: 0,
  },
} as const;
