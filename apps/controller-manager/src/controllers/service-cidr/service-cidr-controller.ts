import { BlockList, isIP } from 'node:net';
import { ipAddresses, serviceCIDRs, type ServiceCIDR, type Stored } from '@naru/api';
import { objectKey, parseKey, type ReconcileResult } from '@naru/client';
import { formatTime, isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';

const finalizer = 'networking.k8s.io/service-cidr-finalizer';
const managedBy = 'ipaddress.kubernetes.io/managed-by';
const allocator = 'ipallocator.k8s.io';
/** An api-server may have given an address of the block in the moment before it learnt that the block is going. */
const graceMs = 10_000;

type Condition = NonNullable<NonNullable<ServiceCIDR['status']>['conditions']>[number];

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

function blocksOf(objects: readonly ServiceCIDR[]): BlockList {
  const blocks = new BlockList();
  for (const cidr of objects.flatMap(({ spec }) => spec?.cidrs ?? [])) {
    const [address = '', bits = ''] = cidr.split('/');
    blocks.addSubnet(address, Number(bits), familyOf(address));
  }
  return blocks;
}

class ServiceCidrs {
  constructor(private readonly deps: ControllerDeps) {}

  async reconcile(key: string): Promise<ReconcileResult> {
    const cidr = this.deps.informers.lister(serviceCIDRs).get(parseKey(key));
    if (!cidr) return {};
    if (cidr.metadata.deletionTimestamp) return this.end(cidr);
    // Held first: addresses are given of it only when it is ready.
    const held = await this.hold(cidr);
    if (!cidr.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'))
      await this.setReady(held, { status: 'True', reason: '', message: 'Kubernetes Service CIDR is ready' });
    return {};
  }

  private async end(cidr: Stored<ServiceCIDR>): Promise<ReconcileResult> {
    const { clock } = this.deps;
    if (!cidr.metadata.finalizers?.includes(finalizer)) return {};
    if (this.isNeeded(cidr)) {
      await this.setReady(cidr, {
        status: 'False',
        reason: 'Terminating',
        message:
          'There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR',
      });
      return {};
    }
    const leftMs = Date.parse(cidr.metadata.deletionTimestamp ?? '') + graceMs - clock.now();
    if (leftMs > 0) return { requeueAfterMs: leftMs };
    await this.writeFinalizers(
      cidr,
      cidr.metadata.finalizers.filter(entry => entry !== finalizer),
    );
    return {};
  }

  /** Has it addresses of Services that are of no other block? */
  private isNeeded(cidr: Stored<ServiceCIDR>): boolean {
    const { informers } = this.deps;
    const all = informers.lister(serviceCIDRs).list();
    const own = blocksOf([cidr]);
    const others = blocksOf(
      all.filter(({ metadata }) => metadata.uid !== cidr.metadata.uid && !metadata.deletionTimestamp),
    );
    return informers
      .lister(ipAddresses)
      .list()
      .some(({ metadata: { name, labels } }) => {
        const family = familyOf(name);
        return labels?.[managedBy] === allocator && own.check(name, family) && !others.check(name, family);
      });
  }

  private async hold(cidr: Stored<ServiceCIDR>): Promise<Stored<ServiceCIDR>> {
    const { finalizers = [] } = cidr.metadata;
    return finalizers.includes(finalizer) ? cidr : this.writeFinalizers(cidr, [...finalizers, finalizer]);
  }

  private async writeFinalizers(cidr: Stored<ServiceCIDR>, finalizers: string[]): Promise<Stored<ServiceCIDR>> {
    const { client } = this.deps;
    const { name, uid, resourceVersion } = cidr.metadata;
    try {
      const body = { metadata: { uid, resourceVersion, finalizers } };
      return await client.patch(serviceCIDRs, { name }, { type: 'merge', body });
    } catch (error) {
      if (isReason(error, 'NotFound')) return cidr;
      throw error;
    }
  }

  private async setReady(
    { metadata, status }: Stored<ServiceCIDR>,
    wanted: Pick<Condition, 'status' | 'reason' | 'message'>,
  ): Promise<void> {
    const { client, clock } = this.deps;
    const { name, uid, resourceVersion } = metadata;
    const [before, others] = [
      status?.conditions?.find(({ type }) => type === 'Ready'),
      (status?.conditions ?? []).filter(({ type }) => type !== 'Ready'),
    ];
    if (before?.status === wanted.status && before.reason === wanted.reason) return;
    const condition = { type: 'Ready', ...wanted, lastTransitionTime: formatTime(clock.now()) };
    const body = { metadata: { uid, resourceVersion }, status: { conditions: [...others, condition] } };
    try {
      await client.patch(serviceCIDRs, { name }, { type: 'merge', body }, { subresource: 'status' });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
}

/** Makes blocks of Service addresses ready, and keeps those that are deleted until no Service has an address of them. */
export const serviceCidrController: Controller = {
  name: 'service-cidr-controller',
  watches: ({ informers }) => {
    const all = (): string[] => informers.lister(serviceCIDRs).list().map(objectKey);
    const leaving = (): string[] =>
      informers
        .lister(serviceCIDRs)
        .list()
        .filter(({ metadata }) => metadata.deletionTimestamp)
        .map(objectKey);
    return [
      // One may take over the addresses of another.
      watch(serviceCIDRs, cidr => new Set([objectKey(cidr), ...all()])),
      watch(ipAddresses, leaving, { relevant: () => false }),
    ];
  },
  build(deps) {
    const controller = new ServiceCidrs(deps);
    return { reconcile: key => controller.reconcile(key) };
  },
};
