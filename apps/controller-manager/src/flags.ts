import { readFileSync } from 'node:fs';
import { connectionFlags } from '@naru/client';
import { AddressRanges, UsageError, familyOf, parseDualNetworks, type Flags } from '@naru/foundation';
import { CidrAllocator } from './controllers/node-ipam/cidr-allocator';
import { defaultConfig, type ControllerConfig } from './framework/config';

/** Upstream's names; durations are in seconds where upstream takes "8s". */
export const managerFlags = {
  ...connectionFlags,
  'health-address': { description: 'where to serve /healthz and /metrics', type: 'string', default: '127.0.0.1:10257' },
  'leader-elect': {
    description: 'work only while holding the Lease kube-controller-manager',
    type: 'boolean',
    default: true,
  },
  controllers: {
    description: 'controllers to run: * is all, foo enables and -foo disables the one named foo',
    type: 'list',
    default: ['*'] as string[],
  },
  'cluster-cidr': {
    description: 'addresses of pods: a range, or one of each family with a comma between',
    type: 'string',
    default: '10.244.0.0/16',
  },
  'service-cluster-ip-range': {
    description: 'addresses of Services, likewise: what of them is in --cluster-cidr is given to no node',
    type: 'string',
    default: '',
  },
  'node-cidr-mask-size': {
    description: 'size of the share of a node, where pods have addresses of one family (0: that of the family)',
    type: 'number',
    default: 0,
  },
  'node-cidr-mask-size-ipv4': { description: 'the same of IPv4', type: 'number', default: 24 },
  'node-cidr-mask-size-ipv6': { description: 'the same of IPv6', type: 'number', default: 64 },
  'allocate-node-cidrs': { description: 'give every node its pod CIDR', type: 'boolean', default: true },
  'node-monitor-grace-period': {
    description: 'seconds of silence after which a node is unreachable, unless its lease lasts longer',
    type: 'number',
    default: defaultConfig.nodeMonitorGraceMs / 1000,
  },
  'node-startup-grace-period': {
    description: 'the same for a node that has not been heard of since this process began',
    type: 'number',
    default: defaultConfig.nodeStartupGraceMs / 1000,
  },
  'node-eviction-rate': {
    description: 'nodes per second whose pods are evicted',
    type: 'number',
    default: defaultConfig.nodeEvictionRate,
  },
  'secondary-node-eviction-rate': {
    description: 'the same in a large zone that is mostly unhealthy',
    type: 'number',
    default: defaultConfig.secondaryNodeEvictionRate,
  },
  'unhealthy-zone-threshold': {
    description:
      'share of a zone that has to be not ready, and at least three nodes, for the zone to count as unhealthy',
    type: 'number',
    default: defaultConfig.unhealthyZoneThreshold,
  },
  'large-cluster-size-threshold': {
    description: 'nodes of an unhealthy zone up to which none of them is evicted',
    type: 'number',
    default: defaultConfig.largeClusterSize,
  },
  'terminated-pod-gc-threshold': {
    description: 'finished pods that are kept',
    type: 'number',
    default: defaultConfig.terminatedPodGcThreshold,
  },
  'cluster-signing-cert-file': {
    description: 'file with the authority that signs certificates; without it none are signed',
    type: 'string',
    default: '',
  },
  'cluster-signing-key-file': { description: 'file with the key of that authority', type: 'string', default: '' },
  'cluster-signing-duration': {
    description: 'seconds that a signed certificate is good for at most',
    type: 'number',
    default: 31_536_000,
  },
  'rest-api': {
    description:
      'https://HOST:PORT of the api-server, for what extension servers serve: metrics of autoscalers, objects of namespaces that go (with --kubeconfig: not needed)',
    type: 'string',
    default: '',
  },
  'local-path': {
    description: 'directory of the nodes for the volumes of the class local-path; empty: no such class',
    type: 'string',
    default: defaultConfig.localPath,
  },
  'load-balancer-addresses': {
    description: 'addresses for Services of type LoadBalancer, such as 10.0.0.200-10.0.0.239 or fd00::200/120',
    type: 'string',
    default: '',
  },
  'root-ca-file': {
    description: 'file with the CA to publish in every namespace (default: that of the connection)',
    type: 'string',
  },
} as const;

/** `ca`: PEM of the authority that the connection trusts. Throws UsageError for values that cannot work. */
export function toConfig(flags: Flags<typeof managerFlags>, ca: string | undefined): ControllerConfig {
  try {
    AddressRanges.parse(flags['load-balancer-addresses']);
  } catch (cause) {
    throw new UsageError(`flag --load-balancer-addresses: ${(cause as Error).message}`, { cause });
  }
  return {
    ...defaultConfig,
    clusterCidrs: readClusterCidrs(flags),
    serviceCidrs: readServiceCidrs(flags['service-cluster-ip-range']),
    allocateNodeCidrs: flags['allocate-node-cidrs'],
    nodeMonitorGraceMs: flags['node-monitor-grace-period'] * 1000,
    nodeStartupGraceMs: flags['node-startup-grace-period'] * 1000,
    nodeEvictionRate: flags['node-eviction-rate'],
    secondaryNodeEvictionRate: flags['secondary-node-eviction-rate'],
    unhealthyZoneThreshold: flags['unhealthy-zone-threshold'],
    largeClusterSize: flags['large-cluster-size-threshold'],
    terminatedPodGcThreshold: flags['terminated-pod-gc-threshold'],
    localPath: flags['local-path'].replace(/\/+$/, ''),
    loadBalancerAddresses: flags['load-balancer-addresses'],
    ...readSigning(flags),
    rootCa: flags['root-ca-file'] ? readFileSync(flags['root-ca-file'], 'utf8') : (ca ?? ''),
  };
}

function readClusterCidrs(flags: Flags<typeof managerFlags>): ControllerConfig['clusterCidrs'] {
  try {
    const cidrs = parseDualNetworks(flags['cluster-cidr']);
    const single = flags['node-cidr-mask-size'];
    if (single !== 0 && cidrs.length > 1)
      throw new Error('with two families --node-cidr-mask-size-ipv4 and --node-cidr-mask-size-ipv6 say the size');
    return cidrs.map(cidr => {
      const nodeMask = single || flags[`node-cidr-mask-size-ipv${familyOf(cidr)}`];
      new CidrAllocator(cidr, nodeMask);
      return { cidr, nodeMask };
    });
  } catch (cause) {
    throw new UsageError(`flag --cluster-cidr: ${(cause as Error).message}`, { cause });
  }
}

function readServiceCidrs(text: string): readonly string[] {
  try {
    return text === '' ? [] : parseDualNetworks(text);
  } catch (cause) {
    throw new UsageError(`flag --service-cluster-ip-range: ${(cause as Error).message}`, { cause });
  }
}

function readSigning(flags: Flags<typeof managerFlags>): Pick<ControllerConfig, 'signing'> {
  const { 'cluster-signing-cert-file': certificate, 'cluster-signing-key-file': key } = flags;
  if (!certificate || !key) return {};
  const maxSeconds = flags['cluster-signing-duration'];
  return { signing: { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8'), maxSeconds } };
}
