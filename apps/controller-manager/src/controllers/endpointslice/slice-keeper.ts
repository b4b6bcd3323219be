import { endpointSlices, type EndpointSlice, type KubeObject, type ResourceType, type Stored } from '@naru/api';
import { isReason } from '@naru/foundation';
import { equalJson } from '../../framework/canonical';
import type { ControllerDeps } from '../../framework/controller';
import { controllerReference } from '../../framework/owner';
import { diffSlices, type SliceContents } from './slice-diff';
import type { AddressType, PortGroup } from './desired-endpoints';

export const serviceNameLabel = 'kubernetes.io/service-name';
export const managedByLabel = 'endpointslice.kubernetes.io/managed-by';

export interface SliceKeeperOptions<Owner extends KubeObject> {
  deps: Pick<ControllerDeps, 'client' | 'informers'>;
  ownerType: ResourceType<Owner>;
  managedBy: string;
  /** Every slice of the owner has these, and those by which slices are found. */
  labelsOf(owner: Stored<Owner>): Record<string, string>;
}

/** The EndpointSlices that one controller keeps for owners of one kind. */
export class SliceKeeper<Owner extends KubeObject> {
  constructor(private readonly options: SliceKeeperOptions<Owner>) {}

  /** Brings the slices of one address type to the wanted contents with as few writes as may be. */
  async sync(owner: Stored<Owner>, type: AddressType, wanted: readonly PortGroup[]): Promise<void> {
    const present = this.slicesOf(owner).filter(({ addressType }) => addressType === type);
    const changes = diffSlices(present, wanted, type);
    const touched = new Set([...changes.update.map(({ slice }) => slice), ...changes.delete].map(nameOf));
    const labels = this.labelsOf(owner);
    const relabeled = present.filter(slice => !touched.has(nameOf(slice)) && !equalJson(slice.metadata.labels, labels));
    await Promise.all([
      ...changes.create.map(contents => this.create(owner, contents)),
      ...changes.update.map(({ slice, endpoints }) => this.update(owner, slice, endpoints)),
      ...relabeled.map(slice => this.update(owner, slice, slice.endpoints)),
      ...changes.delete.map(slice => this.delete(slice)),
    ]);
  }

  /** Deletes the slices of every other address type. */
  async keepOnly(owner: Stored<Owner>, types: readonly string[]): Promise<void> {
    for (const slice of this.slicesOf(owner)) if (!types.includes(slice.addressType)) await this.delete(slice);
  }

  private slicesOf({ metadata }: Stored<Owner>): Stored<EndpointSlice>[] {
    const { deps, managedBy } = this.options;
    return deps.informers
      .lister(endpointSlices)
      .byIndex('owner', metadata.uid)
      .filter(slice => slice.metadata.labels?.[managedByLabel] === managedBy && !slice.metadata.deletionTimestamp);
  }

  private labelsOf(owner: Stored<Owner>): Record<string, string> {
    const { labelsOf, managedBy } = this.options;
    return { ...labelsOf(owner), [serviceNameLabel]: owner.metadata.name, [managedByLabel]: managedBy };
  }

  private async create(owner: Stored<Owner>, contents: SliceContents): Promise<void> {
    const { deps, ownerType } = this.options;
    await deps.client.create(endpointSlices, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        namespace: owner.metadata.namespace,
        generateName: `${owner.metadata.name}-`,
        labels: this.labelsOf(owner),
        ownerReferences: [controllerReference(ownerType, owner)],
      },
      ...contents,
    });
  }

  private async update(
    owner: Stored<Owner>,
    slice: Stored<EndpointSlice>,
    endpoints: EndpointSlice['endpoints'],
  ): Promise<void> {
    const metadata = { ...slice.metadata, labels: this.labelsOf(owner) };
    await this.options.deps.client.update(endpointSlices, { ...slice, metadata, endpoints });
  }

  private async delete({ metadata }: Stored<EndpointSlice>): Promise<void> {
    const { namespace, name, uid } = metadata;
    try {
      await this.options.deps.client.delete(endpointSlices, { namespace, name }, { preconditions: { uid } });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
}

function nameOf({ metadata }: Stored<EndpointSlice>): string {
  return metadata.name;
}
