import { randomUUID } from 'node:crypto';
import { canonicalAddress, formatTime, type Clock } from '@naru/foundation';
import type { AnyDefinition, IPAddress, Service } from '@naru/api';
import { decodeBytes, encodeObject } from '../storage/codec';
import { storageKey, type Claim, type Storage } from '../storage/storage';
import { assigned, ownerOf, type Assigned } from './assigned';
import { familyName } from './service-families';

export interface AddressClaimsDeps {
  storage: Storage;
  /** The kind IPAddress. */
  definition: AnyDefinition;
  /** The kind Service. */
  services: AnyDefinition;
  clock: Clock;
}

const portPrefix = 'ranges/servicenodeports/';
const managedBy = 'ipaddress.kubernetes.io/managed-by';
const allocator = 'ipallocator.k8s.io';

/**
 * What keeps a number from being given twice: of an address its IPAddress object, as upstream; of a port a key of its
 * own. Both come and go in the transactions of their Services.
 */
export class AddressClaims {
  constructor(private readonly deps: AddressClaimsDeps) {}

  /** Somebody has this address, for a Service or for something else. */
  holds(address: string): boolean {
    return this.entry(address) !== undefined;
  }

  take({ addresses, ports }: Assigned, service: Service): Claim[] {
    return [
      ...addresses.map(address => ({
        key: this.addressKey(address),
        value: encodeObject(this.ipAddress(address, service)),
        expected: 0,
      })),
      ...ports.map(port => ({ key: portPrefix + port, value: Buffer.from(ownerOf(service)), expected: 0 })),
    ];
  }

  release({ addresses, ports }: Assigned, owner: string): Claim[] {
    return [
      ...addresses.flatMap(address => {
        const entry = this.entry(address);
        // Deleted by hand, and perhaps another's by now: no business of this Service.
        if (!entry || parentOf(decodeBytes<IPAddress>(entry.bytes)) !== owner) return [];
        return [{ key: this.addressKey(address), value: undefined, expected: entry.revision }];
      }),
      ...ports.map(port => ({ key: portPrefix + port, value: undefined })),
    ];
  }

  /** Makes the claims fit the Services: for those that were stored before there were claims. */
  async repair(): Promise<void> {
    const { storage, services } = this.deps;
    const ports = await storage.claims(portPrefix);
    // Newer than the claims just read: a Service that came with one of them is there.
    await storage.fresh('');
    const holders = new Map<string, Service>();
    for (const { bytes } of storage.cache(services).select({ namespace: '' })) {
      const service = decodeBytes<Service>(bytes);
      const { addresses, ports } = assigned(service);
      for (const address of addresses) holders.set(this.addressKey(address), service);
      for (const port of ports) holders.set(portPrefix + port, service);
    }
    const orphans = ports.filter(({ key }) => !holders.has(key));
    for (const { key, modRevision } of orphans)
      await storage.commitClaim({ key, value: undefined, expected: modRevision });
    for (const { name, bytes, revision } of this.cache.select({ namespace: '' })) {
      const key = this.addressKey(name);
      if (decodeBytes(bytes).metadata?.labels?.[managedBy] !== allocator || holders.has(key)) continue;
      await storage.commitClaim({ key, value: undefined, expected: revision });
    }
    const known = new Set(ports.map(({ key }) => key));
    for (const [key, service] of holders) {
      const isPort = key.startsWith(portPrefix);
      const name = key.slice(key.lastIndexOf('/') + 1);
      if (isPort ? known.has(key) : this.holds(name)) continue;
      const value = isPort ? Buffer.from(ownerOf(service)) : encodeObject(this.ipAddress(name, service));
      await storage.commitClaim({ key, value, expected: 0 });
    }
  }

  private get cache() {
    return this.deps.storage.cache(this.deps.definition);
  }

  private entry(address: string) {
    return this.cache.get('', canonicalAddress(address));
  }

  private addressKey(address: string): string {
    return storageKey(this.deps.definition, '', canonicalAddress(address));
  }

  private ipAddress(address: string, { metadata }: Service): IPAddress {
    const { namespace = '', name = '' } = metadata ?? {};
    return {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'IPAddress',
      metadata: {
        name: canonicalAddress(address),
        uid: randomUUID(),
        creationTimestamp: formatTime(this.deps.clock.now()),
        labels: { 'ipaddress.kubernetes.io/ip-family': familyName(address), [managedBy]: allocator },
      },
      spec: { parentRef: { group: '', resource: 'services', namespace, name } },
    };
  }
}

function parentOf({ spec }: IPAddress): string {
  return `${spec?.parentRef?.namespace}/${spec?.parentRef?.name}`;
}
