import type { KubeObject, Service } from '@naru/api';

/** The cluster addresses and node ports of a Service. */
export interface Assigned {
  addresses: string[];
  ports: number[];
}

export const nothing: Assigned = { addresses: [], ports: [] };

export function assigned({ spec }: Service): Assigned {
  const given = spec?.clusterIPs?.length ? spec.clusterIPs : [spec?.clusterIP ?? ''];
  const addresses = given.filter(address => address !== '' && address !== 'None');
  const ports = (spec?.ports ?? []).flatMap(({ nodePort }) => (nodePort ? [nodePort] : []));
  if (spec?.healthCheckNodePort) ports.push(spec.healthCheckNodePort);
  return { addresses: spec?.type === 'ExternalName' ? [] : addresses, ports: [...new Set(ports)] };
}

/** What the first has and the second has not. */
export function without(first: Assigned, second: Assigned): Assigned {
  return {
    addresses: first.addresses.filter(address => !second.addresses.includes(address)),
    ports: first.ports.filter(port => !second.ports.includes(port)),
  };
}

/** NAMESPACE/NAME. */
export function ownerOf({ metadata }: KubeObject): string {
  return `${metadata?.namespace}/${metadata?.name}`;
}
