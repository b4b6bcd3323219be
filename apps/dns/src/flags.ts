import { connectionFlags } from '@naru/client';
import type { FlagSpec, Flags } from '@naru/foundation';

export const dnsFlags = {
  ...connectionFlags,
  listen: { description: 'HOST:PORT to answer on, by UDP and TCP', type: 'list', default: ['0.0.0.0:10053'] },
  'health-address': {
    description: 'HOST:PORT of health and metrics; of several the port is the same',
    type: 'list',
    default: ['127.0.0.1:9153'],
  },
  'replica-name': { description: 'unique among the replicas; default the host name', type: 'string', default: '' },
  'advertise-address': {
    description: 'IPs at which nodes reach this process, at most one of each family; default those of --listen',
    type: 'list',
    default: [],
  },
  'cluster-dns': {
    description: 'cluster IPs of the Service kube-system/kube-dns: one, or one of each family',
    type: 'list',
    default: ['10.96.0.10'],
  },
  'cluster-domain': { description: 'zone of the cluster', type: 'string', default: 'cluster.local' },
  pods: { description: '1-2-3-4.NS.pod names: insecure, verified or disabled', type: 'string', default: 'insecure' },
  ttl: { description: "seconds that the cluster's records may be kept", type: 'number', default: 30 },
  upstream: {
    description: 'servers for other names, IP[:PORT]; default those of --resolv-conf',
    type: 'list',
    default: [],
  },
  'resolv-conf': {
    description: 'file that names the servers for other names',
    type: 'string',
    default: '/etc/resolv.conf',
  },
  'stub-domain': { description: 'ZONE=IP[:PORT] of zones with servers of their own', type: 'list', default: [] },
  'cache-entries': { description: 'answers of other servers to remember', type: 'number', default: 10_000 },
  'cache-ttl': { description: 'seconds that such an answer is kept at most', type: 'number', default: 30 },
  'max-concurrent': { description: 'questions to other servers at one time', type: 'number', default: 1_000 },
  'lameduck-ms': {
    description: 'how long to answer on after the endpoint was taken away',
    type: 'number',
    default: 500,
  },
} as const satisfies Record<string, FlagSpec>;

export type DnsFlags = Flags<typeof dnsFlags>;
