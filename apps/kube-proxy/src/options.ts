import { UsageError, type Flags } from '@naru/foundation';
import { isIpv4 } from './desired/candidates';
import { parseDuration, type flags } from './flags';
import type { ModeName } from './modes/mode';
import { proxyModes } from './modes/registry';
import type { BackendName, PodNetworkConfig } from './pod-network/pod-network';

export interface Options {
  mode: ModeName;
  nodeName: string;
  clusterCidr: string | undefined;
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

function checkCidr(text: string): string | undefined {
  if (text === '') return undefined;
  const [address, length = ''] = text.split('/');
  if (isIpv4(address) && /^\d{1,2}$/.test(length) && Number(length) <= 32) return text;
  throw new UsageError(`flag --cluster-cidr: "${text}" is not a range of IPv4 addresses such as 10.244.0.0/16`);
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
  const clusterCidr = checkCidr(given['cluster-cidr']);
  if (!given.cleanup) {
    for (const flag of ['node-name', 'api-server', 'nats', 'ca', 'certificate', 'key'] as const) {
      if (given[flag] === '') throw new UsageError(`flag --${flag} is required`);
    }
    if (backend !== 'none' && !isIpv4(given['node-ip'])) {
      throw new UsageError(`flag --node-ip: "${given['node-ip']}" is not an IPv4 address`);
    }
    if (backend !== 'none' && clusterCidr === undefined) {
      throw new UsageError('flag --cluster-cidr is required unless --pod-network=none');
    }
  }
  const nodeName = given['node-name'];
  return {
    mode,
    nodeName,
    clusterCidr,
    minSyncPeriodMs: parseDuration('min-sync-period', given['min-sync-period']),
    fullSyncPeriodMs: parseDuration('sync-period', given['sync-period']),
    podNetwork:
      backend === 'none'
        ? undefined
        : {
            backend,
            mode,
            nodeName,
            nodeIp: given['node-ip'],
            clusterCidr: clusterCidr ?? '',
            cniConfDir: given['cni-conf-dir'],
            cniStateDir: given['cni-state-dir'],
            vxlan: { id: given['vxlan-id'], port: given['vxlan-port'] },
          },
  };
}
