import { familyOf } from '@naru/foundation';
import type { cri } from '@naru/proto';

/**
 * The addresses of a sandbox in the order in which a pod shows them: one of the family of the node's main address, then
 * one of the other. Plugins give them in an order of their own. Source: kubelet.sortPodIPs.
 */
export function sandboxIps(
  network: cri.PodSandboxNetworkStatus | undefined,
  hostIps: readonly string[],
): readonly string[] {
  const all = [network?.ip ?? '', ...(network?.additionalIps ?? []).map(({ ip }) => ip)].filter(ip => ip !== '');
  const main = familyOf(hostIps[0] ?? all[0] ?? '');
  const first = all.find(ip => familyOf(ip) === main);
  const second = all.find(ip => familyOf(ip) !== main);
  return [first, second].filter(ip => ip !== undefined);
}
