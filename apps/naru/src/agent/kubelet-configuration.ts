import { readFileSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { UsageError } from '@naru/foundation';
import type { ClusterInfo } from '../cluster-info';

const apiVersion = 'kubelet.config.k8s.io/v1beta1';
const kind = 'KubeletConfiguration';

/** Fields of a KubeletConfiguration; the kubelet itself knows which there are. */
export type KubeletFields = Record<string, unknown>;

/** The fields of a file with a KubeletConfiguration. Throws UsageError when it is none. */
export async function readKubeletFields(file: string): Promise<KubeletFields> {
  const { parse } = await import('yaml');
  let content: unknown;
  try {
    content = parse(readFileSync(file, 'utf8'), { maxAliasCount: 100 });
  } catch (cause) {
    throw new UsageError(`flag --kubelet-config: ${file}: ${(cause as Error).message}`, { cause });
  }
  const { apiVersion: version, kind: is, ...fields } = (content ?? {}) as KubeletFields;
  if (version !== apiVersion || is !== kind)
    throw new UsageError(`flag --kubelet-config: ${file} is no ${kind} of ${apiVersion}`);
  return fields;
}

interface NodeFacts {
  info: Pick<ClusterInfo, 'clusterDns' | 'clusterDomain'>;
  nodeIps: readonly string[];
  /** A folder for manifests of static pods. */
  manifests: string;
}

/** The kubelet's configuration on a node: what follows from its cluster, but for what its user `wants` otherwise. */
export function kubeletConfiguration({ info, nodeIps, manifests }: NodeFacts, wants: KubeletFields): KubeletFields {
  return {
    apiVersion,
    kind,
    ...(nodeIps.some(isIPv6) ? { address: '::' } : {}),
    clusterDNS: info.clusterDns.split(','),
    clusterDomain: info.clusterDomain,
    staticPodPath: manifests,
    // Upstream's 40 s are for networks with long hiccups; here a dead node's pods are to run elsewhere within 20 s.
    nodeLeaseDurationSeconds: 10,
    ...wants,
  };
}
