import { connectionFlags } from '@naru/client';

/** Upstream's names. */
export const schedulerFlags = {
  ...connectionFlags,
  'health-address': { description: 'where to serve /healthz and /metrics', type: 'string', default: '127.0.0.1:10259' },
  config: {
    description: 'file with a KubeSchedulerConfiguration: profiles, plugins and their arguments, extenders',
    type: 'string',
  },
  'leader-elect': {
    description: 'place pods only while holding the Lease; wins over the configuration, whose default is true',
    type: 'boolean',
  },
} as const;
