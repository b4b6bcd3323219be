import { connectionFlags } from '@naru/client';
import type { FlagSpec, Flags } from '@naru/foundation';

export const metricsServerFlags = {
  ...connectionFlags,
  listen: { description: 'IP:PORT of the metrics API (HTTPS)', type: 'string', default: '0.0.0.0:4443' },
  'serving-certificate': { description: 'file with the serving certificate (PEM)', type: 'string', required: true },
  'serving-key': { description: 'file with its key (PEM)', type: 'string', required: true },
  'advertise-address': {
    description: 'IP at which the api-server reaches this process; default that of --listen, else the first',
    type: 'string',
    default: '',
  },
  'health-address': { description: 'HOST:PORT of health and metrics', type: 'string', default: '127.0.0.1:10263' },
  'metric-resolution-ms': { description: 'how often the kubelets are asked', type: 'number', default: 15_000 },
} as const satisfies Record<string, FlagSpec>;

export type MetricsServerFlags = Flags<typeof metricsServerFlags>;
