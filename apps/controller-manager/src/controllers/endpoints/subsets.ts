import type { Endpoints, Pod, Service, Stored } from '@naru/api';
import { addressTypes, hasEndpoint, podAddress, resolvePort } from '../endpointslice/desired-endpoints';
import { isPodReady } from '../../pods/pod-state';

type Subset = NonNullable<Endpoints['subsets']>[number];
type Address = NonNullable<Subset['addresses']>[number];

interface Group {
  addresses: Address[];
  notReadyAddresses: Address[];
  ports: NonNullable<Subset['ports']>;
}

/** Upstream's limit; what is beyond it is in the slices only. */
export const maxAddresses = 1_000;

/** The subsets of the legacy Endpoints object: addresses that share their ports. Terminating pods have left it. */
export function endpointSubsets(service: Service, selected: readonly Stored<Pod>[]): Subset[] {
  const groups = new Map<string, Group>();
  // Of the Service's first family only, as upstream: the others are in the slices.
  const [type = 'IPv4'] = addressTypes(service);
  const reachable = selected.flatMap(pod => {
    const ip = hasEndpoint(pod) && !pod.metadata.deletionTimestamp ? podAddress(pod, type) : undefined;
    return ip === undefined ? [] : [{ pod, ip }];
  });
  for (const { pod, ip } of reachable.sort((a, b) => (a.ip < b.ip ? -1 : 1)).slice(0, maxAddresses)) {
    const ports = (service.spec?.ports ?? []).flatMap(({ name, protocol = 'TCP', port, targetPort }) => {
      const number = resolvePort(pod, targetPort, port, protocol);
      return number === undefined ? [] : [{ ...(name ? { name } : {}), port: number, protocol }];
    });
    if (ports.length === 0 && service.spec?.clusterIP !== 'None') continue;
    const id = JSON.stringify(ports);
    const group: Group = groups.get(id) ?? { addresses: [], notReadyAddresses: [], ports };
    const ready = !!service.spec?.publishNotReadyAddresses || isPodReady(pod);
    group[ready ? 'addresses' : 'notReadyAddresses'].push(addressOf(pod, ip, service));
    groups.set(id, group);
  }
  return [...groups.values()].map(({ addresses, notReadyAddresses, ports }) => ({
    ...(addresses.length > 0 ? { addresses } : {}),
    ...(notReadyAddresses.length > 0 ? { notReadyAddresses } : {}),
    ...(ports.length > 0 ? { ports } : {}),
  }));
}

function addressOf(pod: Stored<Pod>, ip: string, service: Service): Address {
  const { namespace, name, uid } = pod.metadata;
  const { hostname, subdomain, nodeName } = pod.spec ?? {};
  return {
    ip,
    ...(hostname && subdomain === service.metadata?.name ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    targetRef: { kind: 'Pod', namespace, name, uid },
  };
}
