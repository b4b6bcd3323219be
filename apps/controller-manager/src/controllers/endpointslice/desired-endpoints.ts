import type { Endpoint, EndpointSlice, Node, Pod, Service, Stored } from '@naru/api';
import { isIPv6 } from 'node:net';
import { isFinished, isPodReady } from '../../pods/pod-state';

export type EndpointPort = NonNullable<EndpointSlice['ports']>[number];
export type AddressType = 'IPv4' | 'IPv6';

/** Endpoints that share their ports: those of one slice. */
export interface PortGroup {
  ports: EndpointPort[];
  endpoints: Endpoint[];
}

/** The number of a Service's target port on this pod; a name is looked up in its containers. Undefined: it has none. */
export function resolvePort(
  pod: Pod,
  targetPort: number | string | undefined,
  port: number,
  protocol: string,
): number | undefined {
  if (targetPort === undefined || targetPort === 0 || targetPort === '') return port;
  if (typeof targetPort === 'number') return targetPort;
  const sidecars = (pod.spec?.initContainers ?? []).filter(container => container.restartPolicy === 'Always');
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars]) {
    const match = container.ports?.find(entry => entry.name === targetPort && (entry.protocol ?? 'TCP') === protocol);
    if (match) return match.containerPort;
  }
  return undefined;
}

function portsFor(service: Service, pod: Pod): EndpointPort[] {
  const ports: EndpointPort[] = [];
  for (const { name = '', protocol = 'TCP', port, targetPort, appProtocol } of service.spec?.ports ?? []) {
    const number = resolvePort(pod, targetPort, port, protocol);
    if (number !== undefined) ports.push({ name, protocol, port: number, ...(appProtocol ? { appProtocol } : {}) });
  }
  return ports;
}

/** The pod's address of a family. */
export function podAddress(pod: Pod, type: AddressType): string | undefined {
  const addresses = pod.status?.podIPs?.map(({ ip }) => ip) ?? [pod.status?.podIP];
  return addresses.find(ip => ip && isIPv6(ip) === (type === 'IPv6'));
}

/** serving: its probes are content; terminating: it is on its way out; ready: both as they should be, or published anyway. */
export function toEndpoint(pod: Stored<Pod>, address: string, service: Service, node: Node | undefined): Endpoint {
  const serving = isPodReady(pod);
  const terminating = !!pod.metadata.deletionTimestamp;
  const ready = !!service.spec?.publishNotReadyAddresses || (serving && !terminating);
  const zone = node?.metadata?.labels?.['topology.kubernetes.io/zone'];
  const { hostname, subdomain, nodeName } = pod.spec ?? {};
  const { namespace, name, uid } = pod.metadata;
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(hostname && subdomain === service.metadata?.name ? { hostname } : {}),
    ...(nodeName ? { nodeName } : {}),
    targetRef: { kind: 'Pod', namespace, name, uid },
    ...(zone ? { zone } : {}),
  };
}

/** Does the pod appear among a Service's endpoints at all? */
export function hasEndpoint(pod: Pod): boolean {
  return !isFinished(pod) && !!(pod.status?.podIP || pod.status?.podIPs?.length);
}

/** Says that a Service has no endpoints, which is not the same as not having been looked at yet. */
const nobody: PortGroup = { ports: [], endpoints: [] };

/** What the slices of a Service should hold for one family of addresses: without endpoints, one empty slice. */
export function desiredEndpoints(
  service: Service,
  selected: readonly Stored<Pod>[],
  type: AddressType,
  getNode: (name: string) => Node | undefined,
): PortGroup[] {
  const groups = new Map<string, PortGroup>();
  const headless = service.spec?.clusterIP === 'None';
  for (const pod of selected) {
    const address = hasEndpoint(pod) ? podAddress(pod, type) : undefined;
    if (!address) continue;
    const ports = portsFor(service, pod);
    // A headless Service without ports is there for its names alone.
    if (ports.length === 0 && !headless) continue;
    const id = JSON.stringify(ports);
    const group = groups.get(id) ?? { ports, endpoints: [] };
    group.endpoints.push(toEndpoint(pod, address, service, getNode(pod.spec?.nodeName ?? '')));
    groups.set(id, group);
  }
  return groups.size > 0 ? [...groups.values()] : [nobody];
}

export function addressTypes(service: Service): AddressType[] {
  const families = service.spec?.ipFamilies ?? [];
  return families.length > 0 ? families.map(family => (family === 'IPv6' ? 'IPv6' : 'IPv4')) : ['IPv4'];
}
