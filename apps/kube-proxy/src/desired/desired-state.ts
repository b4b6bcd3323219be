import type { EndpointSlice, Service } from '@naru/api';
import type { ServiceHealth } from '../health-check/health-check-servers';
import { collectCandidates, countReady, readyNodes, type Candidate } from './candidates';
import { chooseEndpoints } from './choose-endpoints';
import type { IpFamily } from './ip-family';
import {
  samePort,
  type Endpoint,
  type Policy,
  type PortChange,
  type Protocol,
  type ServicePort,
  type Verdict,
} from './service-port';
import { clusterIpOf, outsideAddresses, sourceRangesOf, type LoadBalancerAddress } from './service-addresses';
import { AddressClaims } from './address-claims';
import { stableOrder } from './stable-order';

const serviceNameLabel = 'kubernetes.io/service-name';
const headlessLabel = 'service.kubernetes.io/headless';
const otherProxyLabel = 'service.kubernetes.io/service-proxy-name';
const defaultAffinitySeconds = 10_800;

type ApiServicePort = NonNullable<NonNullable<Service['spec']>['ports']>[number];

/**
 * What this node's rules of one family should say, kept up to date from Services and EndpointSlices. Only what was told of since the
 * last `takeChanges` is computed again. It holds references to the informers' objects and never changes them.
 */
export class DesiredState {
  /** Those that are ours to serve. */
  private readonly services = new Map<string, Service>();
  /** Service → slice name → slice. */
  private readonly slices = new Map<string, Map<string, EndpointSlice>>();
  /** Service → its ports as last computed. */
  private readonly computed = new Map<string, ServicePort[]>();
  /** Services that load balancers ask after. */
  private readonly healthChecked = new Set<string>();
  private readonly loadBalanced = new Set<string>();
  private readonly dirty = new Set<string>();
  private readonly claims = new AddressClaims(name => this.dirty.add(serviceOf(name)));
  private zone: string | undefined;

  constructor(private readonly deps: { nodeName: string; family: IpFamily }) {}

  setService(service: Service): void {
    const key = keyOf(service);
    if (!this.isServed(service)) return this.deleteService(service);
    this.services.set(key, service);
    if (hasHealthCheck(service)) this.healthChecked.add(key);
    else this.healthChecked.delete(key);
    if (service.spec?.type === 'LoadBalancer') this.loadBalanced.add(key);
    else this.loadBalanced.delete(key);
    this.dirty.add(key);
  }

  deleteService(service: Service): void {
    const key = keyOf(service);
    if (!this.services.delete(key)) return;
    this.healthChecked.delete(key);
    this.loadBalanced.delete(key);
    this.dirty.add(key);
  }

  setSlice(slice: EndpointSlice): void {
    const key = this.serviceKeyOf(slice);
    if (key === undefined) return;
    const known = this.slices.get(key) ?? new Map<string, EndpointSlice>();
    known.set(slice.metadata?.name ?? '', slice);
    this.slices.set(key, known);
    this.dirty.add(key);
  }

  deleteSlice(slice: EndpointSlice): void {
    const key = this.serviceKeyOf(slice);
    if (key === undefined) return;
    const known = this.slices.get(key);
    known?.delete(slice.metadata?.name ?? '');
    if (known?.size === 0) this.slices.delete(key);
    this.dirty.add(key);
  }

  /** The zone of this node, by its label topology.kubernetes.io/zone. */
  setZone(zone: string | undefined): void {
    if (zone === this.zone) return;
    this.zone = zone;
    for (const key of this.services.keys()) this.dirty.add(key);
  }

  get pending(): number {
    return this.dirty.size;
  }

  /** Brings the state up to date and answers what differs from the last time. */
  takeChanges(): PortChange[] {
    // A port may change twice in a round: when another Service gives up an address that it has waited for.
    const before = new Map<string, ServicePort | undefined>();
    const after = new Map<string, ServicePort>();
    for (const key of this.dirty) {
      this.dirty.delete(key);
      const old = this.computed.get(key) ?? [];
      const wanted = this.compute(key, old);
      for (const port of old) {
        if (!before.has(port.name)) before.set(port.name, port);
        after.delete(port.name);
      }
      for (const port of wanted) {
        if (!before.has(port.name)) before.set(port.name, undefined);
        after.set(port.name, port);
      }
      if (wanted.length > 0) this.computed.set(key, wanted);
      else this.computed.delete(key);
    }
    const changes: PortChange[] = [];
    for (const [name, old] of before) {
      const port = after.get(name);
      if (old && port ? !samePort(old, port) : old !== port) changes.push({ before: old, after: port });
    }
    return changes;
  }

  /** Everything as of the last `takeChanges`. */
  *ports(): Iterable<ServicePort> {
    for (const ports of this.computed.values()) yield* ports;
  }

  /** The Services with a health check node port, and how many ready endpoints each has on this node. */
  *healthChecks(): Iterable<ServiceHealth> {
    for (const key of this.healthChecked) {
      const service = this.services.get(key);
      const port = service?.spec?.healthCheckNodePort;
      if (!service || !port) continue;
      yield { service, port, localEndpoints: countReady(this.slicesOf(key), this.deps.nodeName) };
    }
  }

  /** The addresses that load balancers gave Services of ours. */
  *loadBalancers(): Iterable<LoadBalancerAddress> {
    for (const key of this.loadBalanced) {
      const service = this.services.get(key);
      if (!service) continue;
      const { loadBalancer } = outsideAddresses(service, this.deps.family);
      const local = service.spec?.externalTrafficPolicy === 'Local';
      const nodes = local ? readyNodes(this.slicesOf(key)) : undefined;
      for (const address of loadBalancer) yield { address, nodes };
    }
  }

  private compute(key: string, previous: readonly ServicePort[]): ServicePort[] {
    const service = this.services.get(key);
    const ports = (service?.spec?.ports ?? []).filter(port => Number.isInteger(port.port));
    const names = new Set(ports.map(port => portName(key, port)));
    for (const { name } of previous) if (!names.has(name)) this.claims.release(name);
    if (!service) return [];
    return ports.flatMap(port => {
      const name = portName(key, port);
      const made = this.computePort(
        name,
        key,
        service,
        port,
        previous.find(old => old.name === name),
      );
      return made ? [made] : [];
    });
  }

  private computePort(
    name: string,
    key: string,
    service: Service,
    port: ApiServicePort,
    previous: ServicePort | undefined,
  ): ServicePort | undefined {
    const { spec } = service;
    const { family } = this.deps;
    const protocol = (port.protocol ?? 'TCP').toLowerCase() as Protocol;
    const internalPolicy = policyOf(spec?.internalTrafficPolicy);
    const externalPolicy = policyOf(spec?.externalTrafficPolicy);
    const clusterIp = clusterIpOf(spec, family) ?? '';
    const outside = outsideAddresses(service, family);
    const addresses = [clusterIp, ...outside.external, ...outside.loadBalancer].map(
      ip => `${ip} ${protocol} ${port.port}`,
    );
    if (port.nodePort) addresses.push(`node ${protocol} ${port.nodePort}`);
    const granted = this.claims.claim(name, addresses);
    // Without its cluster IP a port is another one's: a reused address whose former owner is not gone yet.
    if (!granted.has(addresses[0] as string)) return undefined;
    const nodePort = port.nodePort && granted.has(`node ${protocol} ${port.nodePort}`) ? port.nodePort : undefined;
    const isGranted = (ip: string): boolean => granted.has(`${ip} ${protocol} ${port.port}`);
    const externalIps = outside.external.filter(isGranted);
    const loadBalancerIps = outside.loadBalancer.filter(isGranted);
    const accessible = nodePort !== undefined || externalIps.length + loadBalancerIps.length > 0;
    const chosen = chooseEndpoints(
      [...collectCandidates(this.slicesOf(key), port.name ?? '', port.protocol ?? 'TCP', this.deps).values()],
      {
        ownNode: this.deps.nodeName,
        ownZone: this.zone,
        usesCluster: internalPolicy === 'cluster' || accessible,
        usesLocal: internalPolicy === 'local' || (accessible && externalPolicy === 'local'),
        distribution: spec?.trafficDistribution,
      },
    );
    const verdict = (policy: Policy): Verdict => {
      if (!chosen.any) return 'reject';
      return chosen[policy].length > 0 ? 'forward' : 'drop';
    };
    return {
      name,
      protocol,
      clusterIp,
      port: port.port,
      nodePort,
      externalIps,
      loadBalancerIps,
      sourceRanges: loadBalancerIps.length > 0 ? sourceRangesOf(spec, family) : [],
      affinitySeconds:
        spec?.sessionAffinity === 'ClientIP'
          ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? defaultAffinitySeconds)
          : undefined,
      internalPolicy,
      externalPolicy,
      internal: verdict(internalPolicy),
      external: verdict(externalPolicy),
      clusterEndpoints: stableOrder(previous?.clusterEndpoints ?? [], chosen.cluster.map(bare)),
      localEndpoints: stableOrder(previous?.localEndpoints ?? [], chosen.local.map(bare)),
    };
  }

  private slicesOf(key: string): Iterable<EndpointSlice> {
    return this.slices.get(key)?.values() ?? [];
  }

  /** The Service that a slice of the family belongs to; none for headless ones and those of another proxy. */
  private serviceKeyOf({ metadata, addressType }: EndpointSlice): string | undefined {
    const { [serviceNameLabel]: name, [headlessLabel]: headless, [otherProxyLabel]: other } = metadata?.labels ?? {};
    if (addressType !== this.deps.family || !name || headless !== undefined || other !== undefined) return undefined;
    return `${metadata?.namespace ?? ''}/${name}`;
  }

  /** Headless Services and ExternalName have no address to serve; those with upstream's label belong to another proxy. */
  private isServed({ metadata, spec }: Service): boolean {
    if (metadata?.labels?.[otherProxyLabel] !== undefined) return false;
    return spec?.type !== 'ExternalName' && clusterIpOf(spec, this.deps.family) !== undefined;
  }
}

function bare({ address, port, local }: Candidate): Endpoint {
  return { address, port, local };
}

function keyOf({ metadata }: Service): string {
  return `${metadata?.namespace ?? ''}/${metadata?.name ?? ''}`;
}

function portName(key: string, { name = '', protocol = 'TCP', port }: ApiServicePort): string {
  // Ports without a name are alone in their Service, or differ in number and protocol while it is being changed.
  return `${key}:${name === '' ? '' : name}/${protocol.toLowerCase()}${name === '' ? `/${port}` : ''}`;
}

/** The inverse of portName as far as `namespace/service` goes. */
function serviceOf(name: string): string {
  return name.slice(0, name.indexOf(':'));
}

function policyOf(text: string | undefined): Policy {
  return text === 'Local' ? 'local' : 'cluster';
}

function hasHealthCheck(service: Service): boolean {
  const { type, externalTrafficPolicy, healthCheckNodePort } = service.spec ?? {};
  return type === 'LoadBalancer' && externalTrafficPolicy === 'Local' && Boolean(healthCheckNodePort);
}
