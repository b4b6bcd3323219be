import type { Endpoint, Endpoints } from '@naru/api';
import type { AddressType, EndpointPort, PortGroup } from '../endpointslice/desired-endpoints';

type Address = NonNullable<NonNullable<Endpoints['subsets']>[number]['addresses']>[number];

/** Upstream's default: what a subset has beyond it is not mirrored. */
export const maxPerSubset = 1_000;

/** What the slices of one address family should hold so that they say the same as the Endpoints object. */
export function mirroredEndpoints({ subsets = [] }: Endpoints, type: AddressType): PortGroup[] {
  const groups = new Map<string, { ports: EndpointPort[]; endpoints: Map<string, Endpoint> }>();
  for (const { addresses = [], notReadyAddresses = [], ports = [] } of subsets) {
    const mirrored: EndpointPort[] = ports.map(({ name = '', port, protocol = 'TCP', appProtocol }) => ({
      name,
      port,
      protocol,
      ...(appProtocol ? { appProtocol } : {}),
    }));
    const id = JSON.stringify(mirrored);
    const group = groups.get(id) ?? { ports: mirrored, endpoints: new Map<string, Endpoint>() };
    const all = [
      ...addresses.map(address => ({ address, ready: true })),
      ...notReadyAddresses.map(address => ({ address, ready: false })),
    ].filter(({ address }) => familyOf(address) === type);
    for (const { address, ready } of all.slice(0, maxPerSubset))
      if (!group.endpoints.has(address.ip)) group.endpoints.set(address.ip, toEndpoint(address, ready));
    if (group.endpoints.size > 0) groups.set(id, group);
  }
  return [...groups.values()].map(({ ports, endpoints }) => ({ ports, endpoints: [...endpoints.values()] }));
}

function familyOf({ ip }: Address): AddressType {
  return ip.includes(':') ? 'IPv6' : 'IPv4';
}

function toEndpoint({ ip, hostname, nodeName, targetRef }: Address, ready: boolean): Endpoint {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    ...(targetRef ? { targetRef } : {}),
  };
}
