import { pods, type Pod, type Stored } from '@naru/api';
import {
  createWorkqueue,
  objectKey,
  parseKey,
  type InformerFactory,
  type Lister,
  type ObjectsClient,
  type Workqueue,
} from '@naru/client';
import { isReason, type Clock, type Logger } from '@naru/foundation';
import { indexOf } from './node-template';
import { PodAddresses } from './pod-addresses';
import { nextStep, type PodLife } from './pod-life';

export interface HollowPodsDeps {
  client: ObjectsClient;
  informers: InformerFactory;
  clock: Clock;
  logger: Logger;
  prefix: string;
  life: PodLife;
}

const concurrency = 64;

/** "Runs" the pods of all hollow nodes: says that they are Ready, lets Jobs succeed and the terminating go. */
export class HollowPods {
  private readonly lister: Lister<Pod>;
  private readonly queue: Workqueue;
  private readonly addresses = new Map<number, PodAddresses>();
  /** When a pod was first seen on its node, by uid, until it is Running. */
  private readonly seenMs = new Map<string, number>();

  constructor(private readonly deps: HollowPodsDeps) {
    const { informers, clock, logger, prefix } = deps;
    const isOurs = ({ spec }: Pod): boolean => indexOf(spec?.nodeName ?? '', prefix) !== undefined;
    const informer = informers.informer({ type: pods, transform: pod => slim(pod, isOurs(pod)) });
    this.lister = informer.lister;
    this.queue = createWorkqueue({
      name: 'pods',
      concurrency,
      clock,
      logger,
      maxDelayMs: 30_000,
      reconcile: key => this.reconcile(key),
    });
    const look = (pod: Stored<Pod>): void => {
      if (!isOurs(pod)) return;
      const { uid } = pod.metadata;
      const { podIP } = pod.status ?? {};
      if (podIP) this.addressesOf(pod)?.keep(uid, podIP);
      else if (!this.seenMs.has(uid)) this.seenMs.set(uid, clock.now());
      this.queue.add(objectKey(pod));
    };
    const forget = (pod: Stored<Pod>): void => {
      this.seenMs.delete(pod.metadata.uid);
      this.addressesOf(pod)?.release(pod.metadata.uid);
    };
    informer.addHandler({ onAdd: look, onUpdate: look, onDelete: forget });
  }

  async stop(): Promise<void> {
    await this.queue.shutDown();
  }

  private addressesOf({ spec }: Pod): PodAddresses | undefined {
    const index = indexOf(spec?.nodeName ?? '', this.deps.prefix);
    if (index === undefined) return undefined;
    let found = this.addresses.get(index);
    if (!found) this.addresses.set(index, (found = new PodAddresses(index)));
    return found;
  }

  private async reconcile(key: string): Promise<{ requeueAfterMs: number } | void> {
    const { client, clock, life } = this.deps;
    const pod = this.lister.get(parseKey(key));
    const addresses = pod && this.addressesOf(pod);
    if (!pod || !addresses) return;
    const { namespace, name, uid } = pod.metadata;
    const now = clock.now();
    const step = nextStep(pod, life, this.seenMs.get(uid) ?? now, now, addresses.take(uid));
    if (step.kind === 'wait') return { requeueAfterMs: step.ms };
    if (step.kind === 'nothing') return;
    try {
      if (step.kind === 'remove')
        await client.delete(pods, { namespace, name }, { gracePeriodSeconds: 0, preconditions: { uid } });
      else {
        const body = { metadata: { uid }, status: step.status };
        await client.patch(pods, { namespace, name }, { type: 'strategic', body }, { subresource: 'status' });
        this.seenMs.delete(uid);
      }
    } catch (error) {
      // Gone, or another by that name.
      if (!isReason(error, 'NotFound', 'Conflict')) throw error;
    }
  }
}

/** What is looked at here: 30,000 whole pods would be half a gigabyte. */
function slim(pod: Stored<Pod>, isOurs: boolean): Stored<Pod> {
  const { name, namespace, uid, resourceVersion, deletionTimestamp, ownerReferences } = pod.metadata;
  const metadata = { name, namespace, uid, resourceVersion };
  if (!isOurs) return { apiVersion: 'v1', kind: 'Pod', metadata } as Stored<Pod>;
  const { nodeName, containers = [], initContainers } = pod.spec ?? {};
  const { phase, podIP, startTime } = pod.status ?? {};
  const job = ownerReferences?.filter(({ kind }) => kind === 'Job');
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...metadata,
      ...(deletionTimestamp ? { deletionTimestamp } : {}),
      ...(job?.length ? { ownerReferences: job } : {}),
    },
    spec: {
      nodeName,
      containers: containers.map(container => ({ name: container.name, image: container.image })),
      ...(initContainers
        ? {
            initContainers: initContainers.map(container => ({
              name: container.name,
              image: container.image,
              restartPolicy: container.restartPolicy,
            })),
          }
        : {}),
    },
    status: { phase, ...(podIP ? { podIP } : {}), ...(startTime ? { startTime } : {}) },
  } as Stored<Pod>;
}
