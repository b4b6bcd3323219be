import { connectionFlags } from '@naru/client';
import { UsageError, type FlagSpec } from '@naru/foundation';

export const flags = {
  ...connectionFlags,
  'node-name': { description: 'the name of this Node', type: 'string', default: '' },
  'node-ip': { description: 'the address of this node that other nodes reach it by', type: 'string', default: '' },
  'proxy-mode': {
    description: 'which kind of rules: iptables, nftables, ipvs, or none at all: userspace',
    type: 'string',
    default: 'iptables',
  },
  'cluster-cidr': {
    description: "the range of all pods' addresses; of both families, separated by a comma",
    type: 'string',
    default: '10.244.0.0/16',
  },
  'ipvs-scheduler': {
    description: 'how ipvs and userspace balance: rr, lc, dh, sh, sed or nq',
    type: 'string',
    default: 'rr',
  },
  'nodeport-addresses': {
    description: 'ranges of the addresses that node ports answer on, separated by commas; empty: all of this node',
    type: 'string',
    default: '',
  },
  'load-balancer-addresses': {
    description: "the controller-manager's pool: of these this node announces its share, such as 10.0.0.200-10.0.0.239",
    type: 'string',
    default: '',
  },
  'pod-network': {
    description: 'how pods reach those of other nodes: vxlan, host-gw, or none to leave it to another program',
    type: 'string',
    default: 'vxlan',
  },
  'network-policy': {
    description: 'enforce NetworkPolicies; no where another program that makes the pod network does',
    type: 'boolean',
    default: true,
  },
  'container-runtime-endpoint': {
    description:
      'the CRI socket, such as unix:///run/naru/runtime.sock: tells the addresses of pods before the API does',
    type: 'string',
    default: '',
  },
  'vxlan-id': { description: 'the VXLAN network identifier', type: 'number', default: 1 },
  'vxlan-port': { description: 'the UDP port of VXLAN', type: 'number', default: 8472 },
  'cni-conf-dir': { description: 'where the CNI configuration is written', type: 'string', default: '/etc/cni/net.d' },
  'cni-state-dir': {
    description: "where addresses in use are noted; of this node and this boot alone, as it must not outlive the pods'",
    type: 'string',
    default: '/run/naru/cni',
  },
  'min-sync-period': {
    description: 'the least time between two changes of rules, such as 20ms; the first change never waits',
    type: 'string',
    default: '20ms',
  },
  'sync-period': { description: 'how often all rules are written anew', type: 'string', default: '1h' },
  cleanup: { description: 'remove all rules, routes and devices of ours and exit', type: 'boolean', default: false },
  'health-address': {
    description: 'HOST:PORT of /healthz, /livez, /readyz and /metrics',
    type: 'string',
    default: '127.0.0.1:10256',
  },
} as const satisfies Record<string, FlagSpec>;

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Go's form of a duration with one unit, in milliseconds. */
export function parseDuration(flag: string, text: string): number {
  const [, number, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  if (number === undefined) throw new UsageError(`flag --${flag}: "${text}" is not a duration such as 20ms or 1h`);
  return Number(number) * (units[unit] ?? 1);
}
