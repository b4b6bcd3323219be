import net, { BlockList } from 'node:net';
import { StatusError } from '@naru/foundation';
import { nodes, pods, services, type EndpointSlice, type Node, type Pod, type Service } from '@naru/api';
import { kubeletPlace, type Place } from '../egress/egress';
import { badRequest, notFound } from '../objects/failures';
import { decodeBytes } from '../storage/codec';
import type { WatchCache } from '../storage/watch-cache';

export interface ProxyTargetDeps {
  caches: { services: WatchCache; endpointSlices: WatchCache; pods: WatchCache; nodes: WatchCache };
}

export interface Location extends Place {
  secure: boolean;
  /** The node's own API, for which the api-server has its own certificate. */
  isKubelet?: boolean;
}

const serviceLabel = 'kubernetes.io/service-name';
const schemes = new Set(['', 'http', 'https']);

/** What must not be reached on behalf of somebody else. Source: apimachinery's pkg/proxy/util.go, IsProxyableIP. */
const localAddresses = new BlockList();
for (const [network, bits] of [
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['224.0.0.0', 24],
  ['0.0.0.0', 32],
] as const)
  localAddresses.addSubnet(network, bits, 'ipv4');
for (const [network, bits] of [
  ['::1', 128],
  ['::', 128],
  ['fe80::', 10],
  ['ff01::', 16],
  ['ff02::', 16],
] as const)
  localAddresses.addSubnet(network, bits, 'ipv6');

export function isProxyable(address: string): boolean {
  const family = net.isIP(address);
  return family !== 0 && !localAddresses.check(address, family === 6 ? 'ipv6' : 'ipv4');
}

type ObjectReference = NonNullable<EndpointSlice['endpoints']>[number]['targetRef'];

interface Id {
  scheme: string;
  name: string;
  port: string;
}

/** `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`. */
function parseId(kind: string, id: string): Id {
  const parts = id.split(':');
  const [scheme = '', name = '', port = ''] = parts.length === 3 ? parts : ['', ...parts];
  if (parts.length > 3 || name === '' || !schemes.has(scheme)) throw badRequest(`invalid ${kind} request "${id}"`);
  return { scheme, name, port };
}

/** Finds what the names in a proxy's URL stand for. Source: the ResourceLocation functions of pkg/registry/core. */
export class ProxyTargets {
  constructor(private readonly deps: ProxyTargetDeps) {}

  locate(resource: string, namespace: string, id: string): Location {
    if (resource === services.resource) return this.service(namespace, id);
    return resource === pods.resource ? this.pod(namespace, id) : this.node(id);
  }

  private pod(namespace: string, id: string): Location {
    const { scheme, name, port } = parseId('pod', id);
    const entry = this.deps.caches.pods.get(namespace, name);
    if (!entry) throw notFound(pods, name);
    const { spec, status } = decodeBytes<Pod>(entry.bytes);
    const secure = scheme === 'https';
    const declared = spec?.containers?.find(container => container.ports?.length)?.ports?.[0]?.containerPort;
    const host = status?.podIP ?? status?.podIPs?.[0]?.ip ?? '';
    check(host);
    return { secure, host, port: portNumber(port) ?? declared ?? (secure ? 443 : 80) };
  }

  private node(id: string): Location {
    const { scheme, name, port } = parseId('node', id);
    const entry = this.deps.caches.nodes.get('', name);
    if (!entry) throw notFound(nodes, name);
    const place = kubeletPlace(decodeBytes<Node>(entry.bytes));
    if (!place) throw new StatusError('ServiceUnavailable', 'no preferred addresses found; known addresses: []');
    const wanted = portNumber(port);
    if (wanted === undefined || wanted === place.port) return { ...place, secure: true, isKubelet: true };
    check(place.host);
    return { host: place.host, port: wanted, secure: scheme === 'https' };
  }

  private service(namespace: string, id: string): Location {
    const { scheme, name, port } = parseId('service', id);
    const entry = this.deps.caches.services.get(namespace, name);
    if (!entry) throw notFound(services, name);
    const { ports = [] } = decodeBytes<Service>(entry.bytes).spec ?? {};
    let portName = port;
    if (/^\d+$/.test(port)) {
      const found = ports.find(candidate => candidate.port === Number(port));
      if (!found) throw new StatusError('ServiceUnavailable', `no service port ${port} found for service "${name}"`);
      portName = found.name ?? '';
    }
    const places = this.endpoints(namespace, name, portName);
    const place = places[Math.floor(Math.random() * places.length)];
    if (!place) throw new StatusError('ServiceUnavailable', `no endpoints available for service "${id}"`);
    check(place.host);
    return { ...place, secure: scheme === 'https' };
  }

  /** Only addresses of pods: whoever may write endpoints must not lead the api-server anywhere else. */
  private endpoints(namespace: string, service: string, portName: string): Place[] {
    const places: Place[] = [];
    for (const slice of this.deps.caches.endpointSlices.select({ namespace })) {
      if (slice.labels?.[serviceLabel] !== service) continue;
      const { endpoints, ports } = decodeBytes<EndpointSlice>(slice.bytes);
      const port = ports?.find(candidate => (candidate.name ?? '') === portName)?.port;
      if (!port) continue;
      for (const { addresses, conditions, targetRef } of endpoints ?? []) {
        const [host] = addresses;
        if (host && conditions?.ready !== false && this.isPodAddress(namespace, targetRef, host))
          places.push({ host, port });
      }
    }
    return places;
  }

  private isPodAddress(namespace: string, target: ObjectReference, address: string): boolean {
    if (target?.kind !== 'Pod' || !target.name || (target.namespace ?? namespace) !== namespace) return false;
    const entry = this.deps.caches.pods.get(namespace, target.name);
    return entry !== undefined && (decodeBytes<Pod>(entry.bytes).status?.podIPs ?? []).some(({ ip }) => ip === address);
  }
}

function check(address: string): void {
  if (!isProxyable(address)) throw badRequest('address not allowed');
}

function portNumber(text: string): number | undefined {
  if (text === '') return undefined;
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw badRequest(`invalid port "${text}"`);
  return port;
}
