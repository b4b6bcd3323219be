import { AddressRanges, UsageError, type Flags } from '@naru/foundation';
import { isIpv4, isIpv4Range } from './desired/candidates';
import { parseDuration, type flags } from './flags';
import { schedulers } from './modes/ipvs/virtual-server';
import type { ModeName, RuleConfig } from './modes/mode';
import { proxyModes } from './modes/registry';
import type { BackendName, PodNetworkConfig } from './pod-network/pod-network';

export interface Options {
  mode: ModeName;
  nodeName: string;
  rules: RuleConfig;
  loadBalancerPool: AddressRanges;
  /** Undefined when another program makes the pod network. */
  podNetwork: PodNetworkConfig | undefined;
  minSyncPeriodMs: number;
  fullSyncPeriodMs: number;
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find(name => name === value);
  if (found === undefined) throw new UsageError(`flag --${flag}: "${value}" is none of ${allowed.join(', ')}`);
  return found;
}

function checkCidr(flag: string, text: string): string | undefined {
  if (text === '') return undefined;
  if (isIpv4Range(text)) return text;
  throw new UsageError(`flag --${flag}: "${text}" is not a range of IPv4 addresses such as 10.244.0.0/16`);
}

function parsePool(text: string): AddressRanges {
  try {
    return AddressRanges.parse(text);
  } catch (cause) {
    throw new UsageError(`flag --load-balancer-addresses: ${(cause as Error).message}`, { cause });
  }
}

/** Checks the flags that depend on each other. Throws UsageError, naming the flag. */
export function readOptions(given: Flags<typeof flags>): Options {
  const mode = oneOf(
    'proxy-mode',
    given['proxy-mode'],
    proxyModes.map(({ name }) => name),
  );
  const backend = oneOf('pod-network', given['pod-network'], ['vxlan', 'host-gw', 'none'] satisfies (
    BackendName | 'none'
  )[]);
  const clusterCidr = checkCidr('cluster-cidr', given['cluster-cidr']);
  if (!given.cleanup) {
    if (given['node-name'] === '') throw new UsageError('flag --node-name is required');
    const needsIp = backend !== 'none' || given['load-balancer-addresses'] !== '';
    if (needsIp && !isIpv4(given['node-ip'])) {
      throw new UsageError(`flag --node-ip: "${given['node-ip']}" is not an IPv4 address`);
    }
    if (backend !== 'none' && clusterCidr === undefined) {
      throw new UsageError('flag --cluster-cidr is required unless --pod-network=none');
    }
  }
  const ranges = given['nodeport-addresses'].split(',').filter(Boolean);
  for (const range of ranges) checkCidr('nodeport-addresses', range);
  const nodeName = given['node-name'];
  return {
    mode,
    nodeName,
    rules: {
      clusterCidr,
      ipvsScheduler: oneOf('ipvs-scheduler', given['ipvs-scheduler'], schedulers),
      ...(ranges.length > 0 ? { nodePortAddresses: ranges } : {}),
    },
    loadBalancerPool: parsePool(given['load-balancer-addresses']),
    minSyncPeriodMs: parseDuration('min-sync-period', given['min-sync-period']),
    fullSyncPeriodMs: parseDuration('sync-period', given['sync-period']),
    podNetwork:
      backend === 'none'
        ? undefined
        : {
            backend,
            mode,
            nodeName,
            nodeIps: given['node-ip'].split(','),
            clusterCidrs: given['cluster-cidr'].split(','),
            cniConfDir: given['cni-conf-dir'],
            cniStateDir: given['cni-state-dir'],
            vxlan: { id: given['vxlan-id'], port: given['vxlan-port'] },
          },
  };
}
