import type { Pod } from './types';

/** A port of the node that a pod takes. */
export interface HostPort {
  protocol: string;
  /** `0.0.0.0` is every address of the node. */
  ip: string;
  port: number;
}

const anyAddress = '0.0.0.0';
const noPorts: readonly HostPort[] = [];

/** The ports of the node that the pod's containers and sidecars ask for. */
export function hostPortsOf(pod: Pod): readonly HostPort[] {
  const found: HostPort[] = [];
  const containers = pod.spec?.containers ?? [];
  const sidecars = (pod.spec?.initContainers ?? []).filter(container => container.restartPolicy === 'Always');
  for (const container of [...containers, ...sidecars]) {
    for (const { hostPort, hostIP, protocol } of container.ports ?? [])
      if (hostPort) found.push({ protocol: protocol ?? 'TCP', ip: hostIP || anyAddress, port: hostPort });
  }
  return found.length > 0 ? found : noPorts;
}

/** Whether both cannot be had on one node. */
export function hostPortsConflict(a: HostPort, b: HostPort): boolean {
  const sameAddress = a.ip === b.ip || a.ip === anyAddress || b.ip === anyAddress;
  return a.protocol === b.protocol && a.port === b.port && sameAddress;
}
