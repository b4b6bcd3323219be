import { isIP } from 'node:net';
import { AddressRanges, UsageError, type Flags } from '@naru/foundation';
import { ipFamilies, isDefined, rangeOf, type IpFamily } from './desired/ip-family';
import { parseDuration, type flags } from './flags';
import { schedulers } from './modes/ipvs/virtual-server';
import type { ModeName, RuleConfig } from './modes/mode';
import { proxyModes } from './modes/registry';
import type { BackendName, PodNetworkConfig } from './pod-network/pod-network';

export interface Options {
  mode: ModeName;
  nodeName: string;
  /** The first is that of the node's own family. */
  nodeIps: readonly string[];
  /** Both families: which of them this machine has is found out later. */
  rules: readonly RuleConfig[];
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

/** Those of the family in a list of ranges of both. */
function rangesIn(flag: 'cluster-cidr' | 'nodeport-addresses', given: Flags<typeof flags>, family: IpFamily): string[] {
  const texts = given[flag].split(',').filter(Boolean);
  const bad = texts.find(text => ipFamilies.every(each => rangeOf(text, each) === undefined));
  if (bad !== undefined) {
    throw new UsageError(`flag --${flag}: "${bad}" is not a range of addresses such as 10.244.0.0/16 or fd00:244::/56`);
  }
  return texts.map(text => rangeOf(text, family)).filter(isDefined);
}

function rulesOf(given: Flags<typeof flags>, family: IpFamily): RuleConfig {
  const [clusterCidr] = rangesIn('cluster-cidr', given, family);
  const nodePortAddresses = rangesIn('nodeport-addresses', given, family);
  return {
    family,
    clusterCidr,
    ipvsScheduler: oneOf('ipvs-scheduler', given['ipvs-scheduler'], schedulers),
    // Ranges of the other family alone do not restrict this one, as upstream.
    ...(nodePortAddresses.length > 0 ? { nodePortAddresses } : {}),
  };
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
  const rules = ipFamilies.map(family => rulesOf(given, family));
  const nodeIps = given['node-ip'].split(',').filter(Boolean);
  const clusterCidrs = rules.map(({ clusterCidr }) => clusterCidr).filter(isDefined);
  if (!given.cleanup) {
    if (given['node-name'] === '') throw new UsageError('flag --node-name is required');
    const needsIp = backend !== 'none' || given['load-balancer-addresses'] !== '';
    const badIp = nodeIps.find(address => isIP(address) === 0);
    if (badIp !== undefined || (needsIp && nodeIps.length === 0)) {
      throw new UsageError(`flag --node-ip: "${badIp ?? ''}" is not an IP address`);
    }
    if (backend !== 'none' && clusterCidrs.length === 0) {
      throw new UsageError('flag --cluster-cidr is required unless --pod-network=none');
    }
  }
  const nodeName = given['node-name'];
  return {
    mode,
    nodeName,
    rules,
    nodeIps,
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
            nodeIps,
            clusterCidrs,
            cniConfDir: given['cni-conf-dir'],
            cniStateDir: given['cni-state-dir'],
            vxlan: { id: given['vxlan-id'], port: given['vxlan-port'] },
          },
  };
}
