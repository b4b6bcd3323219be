import { leases, type Lease, type Node, type Stored } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { formatMicroTime, isReason, type Clock, type Logger } from '@naru/foundation';

export interface NodeLeaseDeps {
  client: ObjectsClient;
  clock: Clock;
  logger: Logger;
  nodeName: string;
  node: () => Stored<Node> | undefined;
  /** After this much silence the node counts as gone; renewed four times as often. */
  durationSeconds: number;
}

const namespace = 'kube-node-lease';
/** A renewal that failed is tried again soon: four missed ones in a row make the node NotReady. */
const retryMs = 1_000;

/** The heartbeat: a Lease in kube-node-lease. Source: component-helpers lease controller. */
export class NodeLease {
  private lease: Stored<Lease> | undefined;

  constructor(private readonly deps: NodeLeaseDeps) {}

  /** Until the signal; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, logger, durationSeconds } = this.deps;
    const renewMs = durationSeconds * 250;
    while (!signal.aborted) {
      let waitMs = renewMs;
      const startedAt = clock.now();
      try {
        await this.renew();
        // The period counts from the start of a renewal, so that a slow server does not stretch it.
        waitMs = Math.max(0, renewMs - (clock.now() - startedAt));
      } catch (err) {
        this.lease = undefined;
        waitMs = Math.min(retryMs, renewMs);
        logger.warn({ err }, 'node lease not renewed');
      }
      await clock.sleep(waitMs, signal).catch(() => undefined);
    }
  }

  async renew(): Promise<void> {
    const { client, clock, nodeName, durationSeconds } = this.deps;
    const spec = {
      holderIdentity: nodeName,
      leaseDurationSeconds: durationSeconds,
      renewTime: formatMicroTime(clock.now()),
    };
    const ownerReferences = this.owner();
    if (this.lease) {
      try {
        const metadata = { ...this.lease.metadata, ...(ownerReferences ? { ownerReferences } : {}) };
        this.lease = await client.update(leases, { ...this.lease, metadata, spec: { ...this.lease.spec, ...spec } });
        return;
      } catch (error) {
        if (!isReason(error, 'NotFound', 'Conflict')) throw error;
        this.lease = undefined;
      }
    }
    try {
      const found = await client.get(leases, { namespace, name: nodeName });
      this.lease = await client.update(leases, { ...found, spec: { ...found.spec, ...spec } });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      this.lease = await client.create(leases, {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name: nodeName, namespace, ...(ownerReferences ? { ownerReferences } : {}) },
        spec,
      });
    }
  }

  /** With its Node the lease goes too. */
  private owner(): NonNullable<Lease['metadata']>['ownerReferences'] {
    const node = this.deps.node();
    if (!node) return undefined;
    return [{ apiVersion: 'v1', kind: 'Node', name: node.metadata.name, uid: node.metadata.uid }];
  }
}
