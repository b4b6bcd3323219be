import { randomUUID } from 'node:crypto';
import { formatTime, type Clock, type Logger } from '@naru/foundation';
import {
  ipAddresses,
  serviceCIDRs,
  services,
  type AnyDefinition,
  type IPAddress,
  type KubeObject,
  type ResourceType,
  type Scheme,
  type Service,
  type ServiceCIDR,
} from '@naru/api';
import { decodeBytes } from '../storage/codec';
import { entryKey, type Entry } from '../storage/entry';
import type { CommittedEvent, Storage } from '../storage/storage';

export interface AddressObjectsDeps {
  storage: Storage;
  scheme: Scheme;
  clock: Clock;
  logger: Logger;
  /** The CIDR that Services get their addresses from. */
  range: string;
}

const defaultRange = 'kubernetes';
const labels = {
  'ipaddress.kubernetes.io/ip-family': 'IPv4',
  'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io',
};
const maxConflicts = 5;

interface Owner {
  namespace: string;
  name: string;
  addresses: readonly string[];
}

/** Shows the range of Service addresses and who holds which, as the ServiceCIDR and the IPAddresses of upstream. */
export class AddressObjects {
  /** Services to look at, in order: an address may go from one to the next. */
  private readonly queue = new Map<string, Owner>();
  private readonly held = new Map<string, readonly string[]>();
  private readonly definitions: Record<'services' | 'addresses' | 'ranges', AnyDefinition>;
  private working: Promise<void> | undefined;
  private stopListening: () => void = () => undefined;

  constructor(private readonly deps: AddressObjectsDeps) {
    const row = ({ group, version, resource }: ResourceType) => deps.scheme.byResource(group, version, resource)!;
    this.definitions = { services: row(services), addresses: row(ipAddresses), ranges: row(serviceCIDRs) };
  }

  /** Begins; what there is to write at first is written in the background. */
  async start(): Promise<void> {
    const { storage } = this.deps;
    await this.ensureRange();
    this.stopListening = storage.onCommit(events => this.onCommit(events));
    // What is there of Services that went while nobody looked.
    for (const entry of storage.cache(this.definitions.addresses).select({ namespace: '' })) {
      const { namespace = '', name = '', resource } = decodeBytes<IPAddress>(entry.bytes).spec?.parentRef ?? {};
      if (resource !== services.resource) continue;
      const key = entryKey(namespace, name);
      this.held.set(key, [...(this.held.get(key) ?? []), entry.name]);
      this.enqueue({ namespace, name, addresses: [] });
    }
    for (const entry of storage.cache(this.definitions.services).select({ namespace: '' }))
      this.enqueue(ownerOf(entry));
  }

  async idle(): Promise<void> {
    while (this.working) await this.working;
  }

  close(): void {
    this.stopListening();
    this.queue.clear();
  }

  private onCommit(events: readonly CommittedEvent[]): void {
    for (const { definition, event } of events) {
      if (definition !== this.definitions.services) continue;
      const owner = ownerOf(event.entry);
      this.enqueue(event.type === 'DELETED' ? { ...owner, addresses: [] } : owner);
    }
  }

  private enqueue(owner: Owner): void {
    const key = entryKey(owner.namespace, owner.name);
    this.queue.delete(key);
    this.queue.set(key, owner);
    this.working ??= this.work().finally(() => {
      this.working = undefined;
    });
  }

  private async work(): Promise<void> {
    // What is enqueued meanwhile is met by the same iteration.
    for (const [key, owner] of this.queue) {
      this.queue.delete(key);
      const before = this.held.get(key) ?? [];
      if (before.length === owner.addresses.length && before.every((ip, index) => ip === owner.addresses[index]))
        continue;
      try {
        for (const address of before) if (!owner.addresses.includes(address)) await this.write(address, owner, false);
        for (const address of owner.addresses) await this.write(address, owner, true);
        if (owner.addresses.length > 0) this.held.set(key, owner.addresses);
        else this.held.delete(key);
      } catch (err) {
        this.deps.logger.error({ err, service: key }, 'the addresses of a service could not be shown');
      }
    }
  }

  private async write(address: string, { namespace, name }: Owner, holds: boolean): Promise<void> {
    const { storage } = this.deps;
    const definition = this.definitions.addresses;
    for (let attempt = 0; attempt < maxConflicts; attempt++) {
      const entry = storage.cache(definition).get('', address);
      const parent = entry && decodeBytes<IPAddress>(entry.bytes).spec?.parentRef;
      const isOurs = parent?.namespace === namespace && parent.name === name;
      if (holds === isOurs && (holds || !entry)) return;
      // Another one holds it by now.
      if (!holds && !isOurs) return;
      const object = holds ? this.addressOf(address, namespace, name) : undefined;
      const write = { definition, namespace: '', name: address, object, expected: entry?.revision ?? 0 };
      if (await storage.commit(write)) return;
    }
  }

  private addressOf(address: string, namespace: string, name: string): IPAddress {
    const object = this.newObject(ipAddresses, address);
    return {
      ...object,
      metadata: { ...object.metadata, labels },
      spec: { parentRef: { group: '', resource: services.resource, namespace, name } },
    };
  }

  private newObject(type: ResourceType, name: string): KubeObject {
    return {
      apiVersion: `${type.group}/${type.version}`,
      kind: type.kind,
      metadata: { name, uid: randomUUID(), creationTimestamp: formatTime(this.deps.clock.now()) },
    };
  }

  private async ensureRange(): Promise<void> {
    const { storage, clock, range } = this.deps;
    const definition = this.definitions.ranges;
    if (storage.cache(definition).get('', defaultRange)) return;
    const object: ServiceCIDR = {
      ...this.newObject(serviceCIDRs, defaultRange),
      spec: { cidrs: [range] },
      status: {
        conditions: [
          {
            type: 'Ready',
            status: 'True',
            reason: '',
            message: 'Kubernetes default Service CIDR is ready',
            lastTransitionTime: formatTime(clock.now()),
          },
        ],
      },
    };
    await storage.commit({ definition, namespace: '', name: defaultRange, object, expected: 0 });
  }
}

function ownerOf(entry: Entry): Owner {
  const { spec } = decodeBytes<Service>(entry.bytes);
  const addresses = (spec?.clusterIPs ?? []).filter(address => address !== '' && address !== 'None');
  return { namespace: entry.namespace, name: entry.name, addresses };
}
