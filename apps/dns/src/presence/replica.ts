import { endpointSlices, leases, type EndpointSlice, type Lease, type Stored } from '@naru/api';
import type { Lister, ObjectsClient } from '@naru/client';
import {
  familyOf,
  formatMicroTime,
  isReason,
  runPeriodically,
  type Clock,
  type IpFamily,
  type Logger,
} from '@naru/foundation';
import { serviceNameLabel } from '../zone/cluster-data';
import type { DnsService } from './dns-service';
import { dnsNamespace, dnsServiceName, leaseName, managedBy, managedByLabel, replicaLabel, sliceName } from './names';
import { StaleLeases } from './stale-leases';

export interface ReplicaOptions {
  /** Unique among the replicas, and the same after a restart. */
  name: string;
  /** Where the nodes reach this process: one, or one of each family. */
  addresses: readonly string[];
  dnsPort: number;
  metricsPort: number;
}

export interface ReplicaDeps {
  client: ObjectsClient;
  slices: Lister<EndpointSlice>;
  service: DnsService;
  clock: Clock;
  logger: Logger;
  options: ReplicaOptions;
  /** How often the Lease is renewed. */
  renewIntervalMs?: number;
  /** A replica that has not renewed for so long is taken out by the others. */
  leaseDurationMs?: number;
}

const families = [4, 6] as const;

/**
 * Makes this process an endpoint of the cluster DNS: an EndpointSlice of each family and a Lease of its own. Each replica removes the
 * slices of those whose Lease is no longer renewed, so that a dead one gets no questions.
 */
export class Replica {
  private readonly stale: StaleLeases;
  private readonly key: { namespace: string; name: string };

  constructor(private readonly deps: ReplicaDeps) {
    this.stale = new StaleLeases(deps.leaseDurationMs ?? 10_000);
    this.key = { namespace: dnsNamespace, name: leaseName(deps.options.name) };
  }

  /** Looks and sets right, again and again, until the signal. */
  run(signal: AbortSignal): Promise<void> {
    const { clock, logger, renewIntervalMs: periodMs = 3_000 } = this.deps;
    const work = (): Promise<void> => this.reconcile();
    return runPeriodically({ clock, logger, work, periodMs, failure: 'endpoint could not be renewed' }, signal);
  }

  async reconcile(): Promise<void> {
    const ours = await this.deps.service.ensure();
    // The Lease first: a slice without one counts as left over.
    await this.renewLease();
    for (const family of families) await this.ensureSlice(family, ours);
    await this.removeStale();
  }

  /** Takes this replica out, at an orderly stop. */
  async leave(): Promise<void> {
    await this.removeSlices(this.deps.options.name);
    await this.deps.client.delete(leases, this.key).catch(ignoreNotFound);
  }

  private async renewLease(): Promise<void> {
    const { client, clock, options, leaseDurationMs = 10_000 } = this.deps;
    const renewTime = formatMicroTime(clock.now());
    const body = { spec: { renewTime } };
    try {
      await client.patch(leases, this.key, { type: 'merge', body });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      await client.create(leases, {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { ...this.key, labels: { [managedByLabel]: managedBy, [replicaLabel]: options.name } },
        spec: {
          holderIdentity: options.name,
          leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
          acquireTime: renewTime,
          renewTime,
        },
      });
    }
  }

  /** Makes the slice of a family as it should be: gone, when there is no address of it or others answer for the cluster. */
  private async ensureSlice(family: IpFamily, ours: boolean): Promise<void> {
    const { client, slices, options } = this.deps;
    const address = options.addresses.find(candidate => familyOf(candidate) === family);
    const key = { namespace: dnsNamespace, name: sliceName(options.name, family) };
    const known = slices.get(key);
    if (!ours || address === undefined) {
      if (known || !ours) await this.removeSlice(key.name);
      return;
    }
    const wanted = this.desiredSlice(key, family, address);
    if (known && isSame(known, wanted)) return;
    try {
      await client.create(endpointSlices, wanted);
    } catch (error) {
      if (!isReason(error, 'AlreadyExists')) throw error;
      const current = await client.get(endpointSlices, key);
      if (isSame(current, wanted)) return;
      // The family of a slice cannot be changed.
      if (current.addressType !== wanted.addressType) {
        await client.delete(endpointSlices, key);
        await client.create(endpointSlices, wanted);
      } else
        await client.update(endpointSlices, {
          ...current,
          ...wanted,
          metadata: { ...current.metadata, ...wanted.metadata },
        });
    }
  }

  private desiredSlice(key: { namespace: string; name: string }, family: IpFamily, address: string): EndpointSlice {
    const { name, dnsPort, metricsPort } = this.deps.options;
    return {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        ...key,
        labels: { [serviceNameLabel]: dnsServiceName, [managedByLabel]: managedBy, [replicaLabel]: name },
      },
      addressType: `IPv${family}`,
      endpoints: [{ addresses: [address], conditions: { ready: true, serving: true, terminating: false } }],
      ports: [
        { name: 'dns', port: dnsPort, protocol: 'UDP' },
        { name: 'dns-tcp', port: dnsPort, protocol: 'TCP' },
        { name: 'metrics', port: metricsPort, protocol: 'TCP' },
      ],
    };
  }

  private async removeStale(): Promise<void> {
    const { client, clock, slices, logger } = this.deps;
    const all = await client.list(leases, {
      namespace: dnsNamespace,
      labelSelector: `${managedByLabel}=${managedBy}`,
    });
    const stale = this.stale.look(all.items, clock.now()).filter(lease => lease.metadata.name !== this.key.name);
    for (const lease of stale) await this.evict(lease);
    const alive = new Set(all.items.map(({ metadata }) => metadata.name));
    for (const { metadata } of slices.byIndex('service', `${dnsNamespace}/${dnsServiceName}`)) {
      const { [managedByLabel]: manager, [replicaLabel]: replica = '' } = (metadata.labels ?? {}) as Record<
        string,
        string
      >;
      if (manager !== managedBy || replica === this.deps.options.name || alive.has(leaseName(replica))) continue;
      logger.info({ slice: metadata.name }, 'removing an endpoint without a lease');
      await this.removeSlice(metadata.name);
    }
  }

  private async evict({ metadata }: Stored<Lease>): Promise<void> {
    const { client, logger } = this.deps;
    try {
      // Fails when it was renewed just now.
      const { resourceVersion, uid } = metadata;
      const key = { namespace: dnsNamespace, name: metadata.name };
      await client.delete(leases, key, { preconditions: { resourceVersion, uid } });
    } catch (error) {
      if (isReason(error, 'Conflict', 'NotFound')) return;
      throw error;
    }
    logger.warn({ replica: metadata.labels?.[replicaLabel] }, 'removing the endpoint of a replica that is gone');
    await this.removeSlices(metadata.labels?.[replicaLabel] ?? '');
  }

  private async removeSlices(replica: string): Promise<void> {
    for (const family of families) await this.removeSlice(sliceName(replica, family));
  }

  private async removeSlice(name: string): Promise<void> {
    await this.deps.client.delete(endpointSlices, { namespace: dnsNamespace, name }).catch(ignoreNotFound);
  }
}

function ignoreNotFound(error: unknown): void {
  if (!isReason(error, 'NotFound')) throw error;
}

/** Whether a slice, possibly without what informers drop, says what is wanted. */
function isSame(current: EndpointSlice, wanted: EndpointSlice): boolean {
  const facts = ({ addressType, endpoints, ports, metadata }: EndpointSlice): string =>
    JSON.stringify([
      addressType,
      (endpoints ?? []).map(({ addresses, conditions }) => [addresses, conditions?.ready !== false]),
      (ports ?? []).map(({ name, port, protocol }) => [name, port, protocol]),
      metadata?.labels?.[serviceNameLabel],
      metadata?.labels?.[replicaLabel],
    ]);
  return facts(current) === facts(wanted);
}
