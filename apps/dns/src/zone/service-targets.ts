import type { EndpointSlice, Service, Stored } from '@naru/api';
import { clusterIps, isHeadless, type ClusterData } from './cluster-data';

/** An address behind a service's name, with the port that an SRV record shows. */
export interface Target {
  address: string;
  /** Label of the endpoint below the service; absent for cluster IPs. */
  host?: string;
  port: number | undefined;
}

/** What a name asks for below its service. */
export interface Selection {
  endpoint?: string;
  /** In lower case, without underscores; as SRV names have them. */
  port?: string;
  protocol?: string;
}

interface Port {
  name?: string | undefined;
  port?: number | undefined;
  protocol?: string | undefined;
}

function portsOf(ports: Port[], { port, protocol }: Selection): (number | undefined)[] {
  if (ports.length === 0) return port === undefined ? [undefined] : [];
  return ports
    .filter(candidate => port === undefined || (candidate.name ?? '').toLowerCase() === port)
    .filter(candidate => protocol === undefined || (candidate.protocol ?? 'TCP').toLowerCase() === protocol)
    .map(candidate => candidate.port);
}

/** The label of an endpoint: its host name, or its address with dashes. Source: upstream's DNS specification 1.1.0. */
export function endpointLabel(hostname: string | undefined, address: string): string {
  return (hostname ?? address.replace(/[.:]/g, '-')).toLowerCase();
}

/** All that the name of a service stands for, headless or not; endpoints that are not ready only when the service says so. */
export function targetsOf(data: ClusterData, service: Stored<Service>, selection: Selection): Target[] {
  if (selection.endpoint === undefined && !isHeadless(service)) {
    const ports = portsOf(service.spec?.ports ?? [], selection);
    return clusterIps(service).flatMap(address => ports.map(port => ({ address, port })));
  }
  const { namespace, name } = service.metadata;
  const unready = service.spec?.publishNotReadyAddresses === true;
  return data.slices
    .byIndex('service', `${namespace}/${name}`)
    .flatMap(slice => targetsOfSlice(slice, selection, unready));
}

function targetsOfSlice(slice: Stored<EndpointSlice>, selection: Selection, unready: boolean): Target[] {
  if (slice.addressType === 'FQDN') return [];
  const ports = portsOf(slice.ports ?? [], selection);
  if (ports.length === 0) return [];
  return (slice.endpoints ?? []).flatMap(({ addresses, hostname, conditions }) => {
    // Absent means unknown, which consumers take for ready.
    if (conditions?.ready === false && !unready) return [];
    return addresses.flatMap(address => {
      const host = endpointLabel(hostname, address);
      if (selection.endpoint !== undefined && selection.endpoint !== host) return [];
      return ports.map(port => ({ address, host, port }));
    });
  });
}
