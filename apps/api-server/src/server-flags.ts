import type { FlagSpec } from '@naru/foundation';
import { storeFlags } from './storage/open-store';

/** The command line of the api-server; upstream's names where upstream has them. */
export const serverFlags = {
  listen: { description: 'HTTPS REST on HOST:PORT', type: 'string', default: '0.0.0.0:6443' },
  'grpc-listen': { description: 'gRPC with mTLS on HOST:PORT', type: 'string', default: '0.0.0.0:6444' },
  'advertise-address': {
    description: 'IP at which pods reach this server; found out if empty',
    type: 'string',
    default: '',
  },
  ...storeFlags,
  'event-ttl-seconds': { description: 'how long Events are kept', type: 'number', default: 3600 },
  nats: { description: 'tls://HOST:PORT of the event bus; empty: no feed', type: 'string', default: '' },
  ca: { description: 'PEM file of the cluster CA', type: 'string', required: true },
  'ca-key': { description: 'PEM file of its key, to sign joining nodes', type: 'string', required: true },
  certificate: { description: 'PEM file of the serving certificate', type: 'string', required: true },
  key: { description: 'PEM file of its key', type: 'string', required: true },
  'client-certificate': {
    description: 'PEM file of the client certificate for kubelets and NATS',
    type: 'string',
    required: true,
  },
  'client-key': { description: 'PEM file of its key', type: 'string', required: true },
  'proxy-client-cert-file': {
    description: 'PEM file of the certificate that is shown to extension servers; empty: one is made at each start',
    type: 'string',
    default: '',
  },
  'proxy-client-key-file': { description: 'PEM file of its key', type: 'string', default: '' },
  'requestheader-client-ca-file': {
    description: 'PEM file of the CA by which extension servers trust it',
    type: 'string',
    default: '',
  },
  'service-account-key': {
    description: 'PEM file of the EC key that signs service account tokens',
    type: 'string',
    required: true,
  },
  'join-token-file': { description: 'file with one agent secret a line', type: 'string', default: '' },
  'token-file': { description: 'CSV file of static tokens: token,user,uid,"groups"', type: 'string', default: '' },
  'service-cluster-ip-range': {
    description: 'CIDR of cluster addresses, or one of each family with a comma between: the first is the default',
    type: 'string',
    default: '10.96.0.0/16',
  },
  'service-node-port-range': { description: 'FIRST-LAST of node ports', type: 'string', default: '30000-32767' },
  'default-not-ready-toleration-seconds': {
    description: 'seconds that a pod stays on a node that is not ready, unless it says otherwise',
    type: 'number',
    default: 300,
  },
  'default-unreachable-toleration-seconds': {
    description: 'seconds that a pod stays on a node that is unreachable, unless it says otherwise',
    type: 'number',
    default: 300,
  },
  'cluster-info': { description: 'JSON file that is handed to joining nodes', type: 'string', default: '' },
} as const satisfies Record<string, FlagSpec>;
