import { leases, nodes, type Node, type Stored } from '@naru/api';
import { createWorkqueue, type InformerFactory, type Lister, type ObjectsClient, type Workqueue } from '@naru/client';
import { formatMicroTime, isReason, type Clock, type Logger } from '@naru/foundation';
import { hollowLabel, hollowNode, hollowStatus, indexOf, type NodeTemplate } from './node-template';

export interface HollowNodesDeps {
  client: ObjectsClient;
  informers: InformerFactory;
  clock: Clock;
  logger: Logger;
  template: NodeTemplate;
  count: number;
  leaseDurationSeconds: number;
}

const leaseNamespace = 'kube-node-lease';
const concurrency = 32;

/** Registers hollow nodes, keeps them Ready by renewing their Leases, and removes those that are too many. */
export class HollowNodes {
  private readonly lister: Lister<Node>;
  private readonly queue: Workqueue;

  constructor(private readonly deps: HollowNodesDeps) {
    const { informers, clock, logger, template } = deps;
    const informer = informers.informer({ type: nodes, transform: slim });
    this.lister = informer.lister;
    this.queue = createWorkqueue({
      name: 'nodes',
      concurrency,
      clock,
      logger,
      maxDelayMs: 30_000,
      reconcile: name => this.reconcile(name),
    });
    const look = (node: Stored<Node>): void => {
      const { name } = node.metadata;
      if (indexOf(name, template.prefix) !== undefined && !isReady(node)) this.queue.add(name);
    };
    informer.addHandler({ onUpdate: look, onDelete: look });
  }

  /** After the informers have their first lists. Renewals are spread over their period. */
  start(): void {
    const { count, template } = this.deps;
    for (let index = 0; index < count; index++) {
      const name = `${template.prefix}${index}`;
      const known = this.lister.get({ name });
      this.queue.addAfter(name, known && isReady(known) ? Math.floor((index / count) * this.renewMs) : 0);
    }
    for (const { metadata } of this.lister.list())
      if (metadata.labels?.[hollowLabel] && !this.isWanted(metadata.name)) this.queue.add(metadata.name);
  }

  async stop(): Promise<void> {
    await this.queue.shutDown();
  }

  private get renewMs(): number {
    return this.deps.leaseDurationSeconds * 250;
  }

  private isWanted(name: string): boolean {
    const index = indexOf(name, this.deps.template.prefix);
    return index !== undefined && index < this.deps.count;
  }

  private async reconcile(name: string): Promise<{ requeueAfterMs: number } | void> {
    const { client, clock, template } = this.deps;
    const node = this.lister.get({ name });
    if (!this.isWanted(name)) {
      // Somebody's real node may have such a name.
      if (node?.metadata.labels?.[hollowLabel]) await client.delete(nodes, { name }).catch(ignore('NotFound'));
      return;
    }
    if (!node) {
      const index = indexOf(name, template.prefix) ?? 0;
      const created = await client
        .create(nodes, hollowNode(index, template, clock.now()))
        .catch(ignore('AlreadyExists'));
      if (created) await this.renew(name, created.metadata.uid);
      return { requeueAfterMs: this.renewMs };
    }
    await this.renew(name, node.metadata.uid);
    if (!isReady(node)) {
      const body = { status: { conditions: hollowStatus(name, template, clock.now()).conditions } };
      await client
        .patch(nodes, { name }, { type: 'strategic', body }, { subresource: 'status' })
        .catch(ignore('NotFound'));
    }
    return { requeueAfterMs: this.renewMs };
  }

  private async renew(name: string, uid: string): Promise<void> {
    const { client, clock, leaseDurationSeconds } = this.deps;
    const spec = { holderIdentity: name, leaseDurationSeconds, renewTime: formatMicroTime(clock.now()) };
    const key = { namespace: leaseNamespace, name };
    try {
      await client.patch(leases, key, { type: 'merge', body: { spec } });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
      // With its Node the Lease goes too.
      const ownerReferences = [{ apiVersion: 'v1', kind: 'Node', name, uid }];
      const metadata = { ...key, ownerReferences };
      await client.create(leases, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec });
    }
  }
}

function ignore(reason: 'NotFound' | 'AlreadyExists'): (error: unknown) => undefined {
  return error => {
    if (!isReason(error, reason)) throw error;
    return undefined;
  };
}

function isReady(node: Node): boolean {
  return node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ?? false;
}

/** What is looked at here; the rest would cost memory for every node of the cluster. */
function slim({ metadata, status }: Stored<Node>): Stored<Node> {
  const { name, uid, resourceVersion, creationTimestamp, labels } = metadata;
  const ready = status?.conditions?.filter(({ type }) => type === 'Ready') ?? [];
  const hollow = labels?.[hollowLabel];
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      uid,
      resourceVersion,
      ...(creationTimestamp ? { creationTimestamp } : {}),
      ...(hollow ? { labels: { [hollowLabel]: hollow } } : {}),
    },
    status: { conditions: ready.map(({ type, status: value }) => ({ type, status: value })) },
  } as Stored<Node>;
}
