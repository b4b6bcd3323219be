import { StatusError } from '@naru/foundation';
import {
  invalid,
  invalidObject,
  keepServiceAddresses,
  services,
  type KubeObject,
  type Service,
  type ServiceCIDR,
} from '@naru/api';
import type { KindHooks, Reservation } from '../objects/kind-hooks';
import { decodeBytes } from '../storage/codec';
import type { CacheEvent } from '../storage/event-ring';
import type { Claim } from '../storage/storage';
import type { WatchCache } from '../storage/watch-cache';
import type { AddressClaims } from './address-claims';
import { NumberAllocator } from './allocator';
import { assigned, nothing, ownerOf, without, type Assigned } from './assigned';
import { ClusterAddresses } from './cluster-addresses';
import { setFamilies, type Family } from './service-families';

export interface ServiceAddressOptions {
  /** "10.96.0.0/16", or one range of each family: "10.96.0.0/16,fd00:10:96::/112". */
  clusterIPRange: string;
  /** "30000-32767" */
  nodePortRange: string;
}

/** What a reservation took, and how the object is as it was. */
interface Taken extends Assigned {
  undo: (() => void)[];
}

/**
 * Cluster addresses and node ports of Services, each given once. What is free is known from the Services; what makes a
 * number its Service's own is a claim in the transaction that stores it, which only one of several api-servers can win.
 */
export class ServiceAddresses implements KindHooks {
  readonly resource = '/services';
  readonly cluster: ClusterAddresses;
  private readonly ports: NumberAllocator;

  constructor(
    private readonly options: ServiceAddressOptions,
    private readonly claims: AddressClaims,
  ) {
    this.cluster = new ClusterAddresses(options.clusterIPRange, claims);
    const [low, high] = options.nodePortRange.split('-').map(Number);
    if (!low || !high || low > high || high > 65535)
      throw new Error(`Cannot parse node port range ${options.nodePortRange}: want FIRST-LAST`);
    this.ports = new NumberAllocator([
      { first: BigInt(low), last: BigInt(high), reserved: BigInt(Math.min(Math.floor((high - low + 1) / 16), 128)) },
    ]);
  }

  /** Takes what the stored Services hold. Two that hold the same are told about, not changed. */
  load(cache: WatchCache, complain: (service: string, what: string) => void): void {
    for (const { bytes, key } of cache.select({ namespace: '' })) {
      const { addresses, ports } = assigned(decodeBytes<Service>(bytes));
      for (const address of addresses) if (!this.cluster.take(address, key)) complain(key, address);
      for (const port of ports) if (!this.ports.take(BigInt(port), key)) complain(key, String(port));
    }
  }

  /** Hears of every committed change of a Service, whoever made it. */
  follow({ entry, previous, type }: CacheEvent): void {
    const had = previous ? assigned(decodeBytes<Service>(previous.bytes)) : nothing;
    const has = type === 'DELETED' ? nothing : assigned(decodeBytes<Service>(entry.bytes));
    this.release(without(had, has), entry.key);
    for (const address of has.addresses) this.cluster.take(address, entry.key);
    for (const port of has.ports) this.ports.take(BigInt(port), entry.key);
  }

  /** Takes up the ServiceCIDRs as they are. */
  followRanges(cache: WatchCache): void {
    this.cluster.followRanges(cache.select({ namespace: '' }).map(({ bytes }) => decodeBytes<ServiceCIDR>(bytes)));
  }

  beginCreate(object: KubeObject): Reservation {
    return this.reserve(object as Service, undefined);
  }

  carryOver(next: KubeObject, old: KubeObject): void {
    const service = next as Service;
    const before = old as Service;
    if (!service.spec || !before.spec) return;
    if (service.spec.type === 'ExternalName' || before.spec.type === 'ExternalName') return;
    keepServiceAddresses(service, before);
    keepNodePorts(service, before);
  }

  beginUpdate(next: KubeObject, old: KubeObject): Reservation {
    return this.reserve(next as Service, old as Service);
  }

  endClaims(object: KubeObject): readonly Claim[] {
    return this.claims.release(assigned(object as Service), ownerOf(object));
  }

  private reserve(service: Service, before: Service | undefined): Reservation {
    const owner = ownerOf(service);
    const had = before ? assigned(before) : nothing;
    const taken: Taken = { addresses: [], ports: [], undo: [] };
    try {
      setFamilies(service, before, this.cluster.families);
      this.reserveAddresses(service, owner, had, taken);
      this.reservePorts(service, owner, had, taken);
    } catch (error) {
      this.release(taken, owner);
      throw error;
    }
    const claims = [
      ...this.claims.take(taken, service),
      ...this.claims.release(without(had, assigned(service)), owner),
    ];
    return {
      claims,
      rollback: () => {
        this.release(taken, owner);
        for (const undo of taken.undo) undo();
      },
    };
  }

  private reserveAddresses(service: Service, owner: string, had: Assigned, taken: Taken): void {
    const { spec } = service;
    if (!spec || spec.type === 'ExternalName' || spec.clusterIPs?.[0] === 'None') return;
    const { clusterIP, clusterIPs } = spec;
    taken.undo.push(() => {
      delete spec.clusterIP;
      delete spec.clusterIPs;
      if (clusterIP) spec.clusterIP = clusterIP;
      if (clusterIPs) spec.clusterIPs = clusterIPs;
    });
    const wanted = clusterIPs ?? [];
    const given: string[] = [];
    for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
      const address = wanted[index];
      if (address !== undefined && !had.addresses.includes(address)) this.cluster.reserve(service, address, owner);
      const next = address ?? this.cluster.next(family as Family, owner);
      given.push(next);
      if (!had.addresses.includes(next)) taken.addresses.push(next);
    }
    if (given[0] !== undefined) spec.clusterIP = given[0];
    spec.clusterIPs = given;
  }

  private reservePorts(service: Service, owner: string, had: Assigned, taken: Taken): void {
    const { spec } = service;
    const wants =
      spec?.type === 'NodePort' || (spec?.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
    const take = (port: number, path: string): void => {
      if (had.ports.includes(port) || taken.ports.includes(port)) return;
      if (!this.ports.includes(BigInt(port)))
        throw this.wrong(
          service,
          path,
          port,
          `provided port is not in the valid range. The range of valid ports is ${this.options.nodePortRange}`,
        );
      if (!this.ports.take(BigInt(port), owner))
        throw this.wrong(service, path, port, 'provided port is already allocated');
      taken.ports.push(port);
    };
    for (const [index, port] of (spec?.ports ?? []).entries()) {
      const path = `spec.ports[${index}].nodePort`;
      if (port.nodePort) take(port.nodePort, path);
      else if (wants) {
        const next = this.nextPort(owner);
        if (next === undefined)
          throw new StatusError(
            'InternalError',
            'Internal error occurred: failed to allocate a nodePort: range is full',
          );
        port.nodePort = next;
        taken.ports.push(next);
        taken.undo.push(() => delete port.nodePort);
      }
    }
    if (spec?.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local') {
      if (spec.healthCheckNodePort) take(spec.healthCheckNodePort, 'spec.healthCheckNodePort');
      else {
        const next = this.nextPort(owner);
        if (next !== undefined) {
          spec.healthCheckNodePort = next;
          taken.ports.push(next);
          taken.undo.push(() => delete spec.healthCheckNodePort);
        }
      }
    }
  }

  private nextPort(owner: string): number | undefined {
    const next = this.ports.next(owner);
    return next === undefined ? undefined : Number(next);
  }

  private release({ addresses, ports }: Assigned, owner: string): void {
    for (const address of addresses) this.cluster.release(address, owner);
    for (const port of ports) this.ports.release(BigInt(port), owner);
  }

  private wrong(service: Service, field: string, value: unknown, detail: string): StatusError {
    return invalidObject(services, service.metadata?.name ?? '', [invalid(field, value, detail)]);
  }
}

/** An update that does not mention the node ports keeps them, port by port. */
function keepNodePorts(next: Service, before: Service): void {
  const { type } = next.spec!;
  if (type !== 'NodePort' && type !== 'LoadBalancer') return;
  const used = new Set((next.spec?.ports ?? []).map(({ nodePort }) => nodePort).filter(Boolean));
  for (const port of next.spec?.ports ?? []) {
    if (port.nodePort) continue;
    const same = before.spec?.ports?.find(
      old => old.port === port.port && (old.protocol ?? 'TCP') === (port.protocol ?? 'TCP') && old.nodePort,
    );
    if (!same?.nodePort || used.has(same.nodePort)) continue;
    port.nodePort = same.nodePort;
    used.add(same.nodePort);
  }
}
