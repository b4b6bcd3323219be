import { StatusError } from '@naru/foundation';
import { invalid, invalidObject, services, type KubeObject, type Service, type ServiceCIDR } from '@naru/api';
import type { KindHooks, Reservation } from '../objects/kind-hooks';
import { decodeBytes } from '../storage/codec';
import type { CacheEvent } from '../storage/event-ring';
import type { Claim } from '../storage/storage';
import type { WatchCache } from '../storage/watch-cache';
import type { AddressClaims } from './address-claims';
import { NumberAllocator } from './allocator';
import { addressRange, extraRanges } from './address-ranges';
import { assigned, nothing, ownerOf, without, type Assigned } from './assigned';
import { formatIPv4, parseIPv4 } from './cidr';

export interface ServiceAddressOptions {
  /** "10.96.0.0/16" */
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
  private readonly addresses: NumberAllocator;
  private readonly ports: NumberAllocator;
  /** Blocks that addresses are of, the cluster's own first. */
  private cidrs: readonly string[];
  /** The first of the range: the Service `kubernetes`. */
  readonly apiServerAddress: string;

  constructor(
    private readonly options: ServiceAddressOptions,
    private readonly claims: AddressClaims,
  ) {
    const range = addressRange(options.clusterIPRange);
    this.addresses = new NumberAllocator([range]);
    this.cidrs = [options.clusterIPRange];
    this.apiServerAddress = formatIPv4(range.first);
    const [low, high] = options.nodePortRange.split('-').map(Number);
    if (!low || !high || low > high || high > 65535)
      throw new Error(`Cannot parse node port range ${options.nodePortRange}: want FIRST-LAST`);
    this.ports = new NumberAllocator([
      { first: low, last: high, reserved: Math.min(Math.floor((high - low + 1) / 16), 128) },
    ]);
  }

  /** Takes what the stored Services hold. Two that hold the same are told about, not changed. */
  load(cache: WatchCache, complain: (service: string, what: string) => void): void {
    for (const { bytes, key } of cache.select({ namespace: '' })) {
      const { addresses, ports } = assigned(decodeBytes<Service>(bytes));
      for (const address of addresses) if (!this.addresses.take(parseIPv4(address), key)) complain(key, address);
      for (const port of ports) if (!this.ports.take(port, key)) complain(key, String(port));
    }
  }

  /** Hears of every committed change of a Service, whoever made it. */
  follow({ entry, previous, type }: CacheEvent): void {
    const had = previous ? assigned(decodeBytes<Service>(previous.bytes)) : nothing;
    const has = type === 'DELETED' ? nothing : assigned(decodeBytes<Service>(entry.bytes));
    this.release(without(had, has), entry.key);
    for (const address of has.addresses) this.addresses.take(parseIPv4(address), entry.key);
    for (const port of has.ports) this.ports.take(port, entry.key);
  }

  /** Takes up the ServiceCIDRs as they are: addresses are of the cluster's own range and of every other that is ready. */
  followRanges(cache: WatchCache): void {
    const own = this.options.clusterIPRange;
    const objects = cache.select({ namespace: '' }).map(({ bytes }) => decodeBytes<ServiceCIDR>(bytes));
    this.cidrs = [own, ...extraRanges(objects, own)];
    this.addresses.ranges = this.cidrs.map(addressRange);
  }

  beginCreate(object: KubeObject): Reservation {
    return this.reserve(object as Service, undefined);
  }

  carryOver(next: KubeObject, old: KubeObject): void {
    const service = next as Service;
    const before = old as Service;
    if (!service.spec || !before.spec) return;
    if (service.spec.type === 'ExternalName' || before.spec.type === 'ExternalName') return;
    service.spec.clusterIP ||= before.spec.clusterIP;
    if (!service.spec.clusterIPs?.length && before.spec.clusterIPs) service.spec.clusterIPs = before.spec.clusterIPs;
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
      this.reserveAddress(service, owner, had, taken);
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

  private reserveAddress(service: Service, owner: string, had: Assigned, taken: Taken): void {
    const spec = service.spec;
    if (!spec || spec.type === 'ExternalName' || spec.clusterIP === 'None') return;
    if (spec.clusterIP && had.addresses.includes(spec.clusterIP)) return;
    if (spec.clusterIP) {
      const wanted = this.parseAddress(service, spec.clusterIP);
      if (this.addresses.owner(wanted) !== undefined || this.claims.holds(spec.clusterIP))
        throw this.wrong(
          service,
          'spec.clusterIPs',
          [spec.clusterIP],
          'failed to allocate IP ' + `${spec.clusterIP}: provided IP is already allocated`,
        );
      this.addresses.take(wanted, owner);
    } else {
      spec.clusterIP = this.nextAddress(owner);
      taken.undo.push(() => {
        delete spec.clusterIP;
        delete spec.clusterIPs;
      });
    }
    taken.addresses.push(spec.clusterIP);
    spec.clusterIPs = [spec.clusterIP];
    spec.ipFamilies = ['IPv4'];
    spec.ipFamilyPolicy ??= 'SingleStack';
  }

  private nextAddress(owner: string): string {
    for (;;) {
      const next = this.addresses.next(owner);
      if (next === undefined)
        throw new StatusError(
          'InternalError',
          'Internal error occurred: failed to allocate a serviceIP: range is full',
        );
      const address = formatIPv4(next);
      // An IPAddress that a user made for something else: it stays taken here.
      if (!this.claims.holds(address)) return address;
    }
  }

  private parseAddress(service: Service, address: string): number {
    let value: number;
    try {
      value = parseIPv4(address);
    } catch {
      throw this.wrong(service, 'spec.clusterIPs[0]', address, 'must be a valid IP address');
    }
    if (!this.addresses.includes(value))
      throw this.wrong(
        service,
        'spec.clusterIPs',
        [address],
        `failed to allocate IP ${address}: the provided IP (${address}) is not in the valid range. The range of valid IPs is ${this.cidrs.join(', ')}`,
      );
    return value;
  }

  private reservePorts(service: Service, owner: string, had: Assigned, taken: Taken): void {
    const { spec } = service;
    const wants =
      spec?.type === 'NodePort' || (spec?.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
    const take = (port: number, path: string): void => {
      if (had.ports.includes(port) || taken.ports.includes(port)) return;
      if (!this.ports.includes(port))
        throw this.wrong(
          service,
          path,
          port,
          `provided port is not in the valid range. The range of valid ports is ${this.options.nodePortRange}`,
        );
      if (!this.ports.take(port, owner) || this.ports.owner(port) !== owner)
        throw this.wrong(service, path, port, 'provided port is already allocated');
      taken.ports.push(port);
    };
    for (const [index, port] of (spec?.ports ?? []).entries()) {
      const path = `spec.ports[${index}].nodePort`;
      if (port.nodePort) take(port.nodePort, path);
      else if (wants) {
        const next = this.ports.next(owner);
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
        const next = this.ports.next(owner);
        if (next !== undefined) {
          spec.healthCheckNodePort = next;
          taken.ports.push(next);
          taken.undo.push(() => delete spec.healthCheckNodePort);
        }
      }
    }
  }

  private release({ addresses, ports }: Assigned, owner: string): void {
    for (const address of addresses) this.addresses.release(parseIPv4(address), owner);
    for (const port of ports) this.ports.release(port, owner);
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
