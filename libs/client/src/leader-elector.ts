import { leases, type Lease, type Stored } from '@naru/api';
import { formatMicroTime, isReason, systemClock, type Clock, type Logger } from '@naru/foundation';
import type { ObjectsClient } from './objects-client';

export interface LeaderElectorOptions {
  client: ObjectsClient;
  logger: Logger;
  clock?: Clock;
  /** Name of the Lease. */
  name: string;
  namespace?: string;
  /** Unique among the candidates. */
  identity: string;
  /** Upstream's defaults: 15 s, 10 s, 2 s. */
  leaseDurationMs?: number;
  renewDeadlineMs?: number;
  retryPeriodMs?: number;
}

/**
 * Leader election by a Lease, as client-go does it: a candidate takes the lease when its holder has not renewed it for a
 * whole lease duration as measured by the candidate's own clock, so clocks need not agree.
 */
export class LeaderElector {
  private readonly clock: Clock;
  private observed: { version: string; at: number } | undefined;

  constructor(private readonly options: LeaderElectorOptions) {
    this.clock = options.clock ?? systemClock;
  }

  /** Waits to become the leader, then calls `lead` with a signal that aborts when leadership is lost; returns after that. */
  async run(lead: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { logger, name, identity, retryPeriodMs = 2_000, renewDeadlineMs = 10_000 } = this.options;
    while (!(await this.tryAcquire(signal))) {
      await this.clock.sleep(retryPeriodMs * (1 + Math.random() * 0.2), signal);
    }
    logger.info({ lease: name, identity }, 'became the leader');
    const lost = new AbortController();
    const term = AbortSignal.any([signal, lost.signal]);
    const leading = lead(term);
    let renewedAt = this.clock.now();
    while (!term.aborted) {
      await this.clock.sleep(retryPeriodMs, term).catch(() => undefined);
      if (term.aborted) break;
      if (await this.tryAcquire(term)) renewedAt = this.clock.now();
      else if (this.clock.now() - renewedAt > renewDeadlineMs) {
        logger.error({ lease: name, identity }, 'lost the lease');
        lost.abort(new Error('leadership was lost'));
      }
    }
    await leading;
    if (signal.aborted) await this.release();
  }

  /** Takes or renews the lease; false when another holds it or the api-server does not answer. */
  private async tryAcquire(signal: AbortSignal): Promise<boolean> {
    const { client, name, namespace = 'kube-system', identity, leaseDurationMs = 15_000 } = this.options;
    const now = formatMicroTime(this.clock.now());
    try {
      const lease = await client.get(leases, { namespace, name }, signal);
      if (this.observed?.version !== lease.metadata.resourceVersion) {
        this.observed = { version: lease.metadata.resourceVersion, at: this.clock.now() };
      }
      const holder = lease.spec?.holderIdentity;
      const expired = this.clock.now() - this.observed.at > (lease.spec?.leaseDurationSeconds ?? 15) * 1000;
      if (holder && holder !== identity && !expired) return false;
      await this.write(lease, {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
        acquireTime: holder === identity ? lease.spec?.acquireTime : now,
        renewTime: now,
        leaseTransitions: (lease.spec?.leaseTransitions ?? 0) + (holder === identity ? 0 : 1),
      });
      return true;
    } catch (error) {
      if (!isReason(error, 'NotFound')) return false;
      const spec = {
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(leaseDurationMs / 1000),
        acquireTime: now,
        renewTime: now,
        leaseTransitions: 0,
      };
      return client
        .create(leases, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { namespace, name }, spec })
        .then(
          () => true,
          () => false,
        );
    }
  }

  private async write(lease: Stored<Lease>, spec: Lease['spec']): Promise<void> {
    const written = await this.options.client.update(leases, { ...lease, spec });
    this.observed = { version: written.metadata.resourceVersion, at: this.clock.now() };
  }

  /** Gives the lease up at an orderly end, so that a successor need not wait for it to expire. */
  private async release(): Promise<void> {
    const { client, name, namespace = 'kube-system', identity } = this.options;
    try {
      const lease = await client.get(leases, { namespace, name });
      if (lease.spec?.holderIdentity === identity) {
        await client.update(leases, { ...lease, spec: { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 } });
      }
    } catch {
      // The lease then simply expires.
    }
  }
}
