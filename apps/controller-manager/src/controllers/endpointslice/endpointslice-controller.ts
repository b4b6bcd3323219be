import { endpointSlices, nodes, pods, services, type EndpointSlice, type Service, type Stored } from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { isReason } from '@naru/foundation';
import { equalJson } from '../../framework/canonical';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { controllerOf, controllerReference } from '../../framework/owner';
import { addressTypes, desiredEndpoints } from './desired-endpoints';
import { changesEndpoints, selectPods, serviceKeysOf } from './service-pods';
import { diffSlices, type SliceContents } from './slice-diff';

const nameLabel = 'kubernetes.io/service-name';
const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
const managedBy = 'endpointslice-controller.k8s.io';
const headlessLabel = 'service.kubernetes.io/headless';

/** The labels of a Service's slices: its own, and those by which the slices are found. */
function sliceLabels(service: Stored<Service>): Record<string, string> {
  return {
    ...service.metadata.labels,
    ...(service.spec?.clusterIP === 'None' ? { [headlessLabel]: '' } : {}),
    [nameLabel]: service.metadata.name,
    [managedByLabel]: managedBy,
  } as Record<string, string>;
}

class EndpointSliceReconciler {
  /** Slices just created, which the informer may not show yet: service uid → slice name → slice. */
  private readonly created = new Map<string, Map<string, Stored<EndpointSlice>>>();

  constructor(private readonly deps: ControllerDeps) {
    deps.informers.get(endpointSlices).addHandler({
      onDelete: slice => void this.created.get(controllerOf(slice)?.uid ?? '')?.delete(slice.metadata.name),
    });
  }

  async reconcile(key: string): Promise<void> {
    const { informers } = this.deps;
    const service = informers.lister(services).get(parseKey(key));
    // Without a selector the endpoints are someone else's business; those of a deleted Service the garbage collector's.
    if (!service || service.metadata.deletionTimestamp || !hasSelector(service)) return;
    if (service.spec?.type === 'ExternalName') return;
    const existing = this.slicesOf(service);
    const types = addressTypes(service);
    const selected = selectPods(informers, service);
    const getNode = (name: string) => informers.lister(nodes).get({ name });
    for (const slice of existing.filter(({ addressType }) => !types.some(type => type === addressType)))
      await this.delete(slice);
    for (const type of types) {
      const ofType = existing.filter(slice => slice.addressType === type);
      const changes = diffSlices(ofType, desiredEndpoints(service, selected, type, getNode), type);
      const written = new Set(changes.update.map(({ slice }) => slice.metadata.name));
      for (const slice of changes.delete) written.add(slice.metadata.name);
      const labels = sliceLabels(service);
      const relabeled = ofType.filter(
        slice => !written.has(slice.metadata.name) && !equalJson(slice.metadata.labels, labels),
      );
      await Promise.all([
        ...changes.create.map(contents => this.create(service, contents)),
        ...changes.update.map(({ slice, endpoints }) => this.update(service, slice, endpoints)),
        ...relabeled.map(slice => this.update(service, slice, slice.endpoints)),
        ...changes.delete.map(slice => this.delete(slice)),
      ]);
    }
  }

  private slicesOf({ metadata }: Stored<Service>): Stored<EndpointSlice>[] {
    const listed = this.deps.informers
      .lister(endpointSlices)
      .byIndex('owner', metadata.uid)
      .filter(slice => slice.metadata.labels?.[managedByLabel] === managedBy && !slice.metadata.deletionTimestamp);
    const recent = this.created.get(metadata.uid);
    if (!recent) return listed;
    for (const slice of listed) recent.delete(slice.metadata.name);
    if (recent.size === 0) this.created.delete(metadata.uid);
    return [...listed, ...recent.values()];
  }

  private async create(service: Stored<Service>, { addressType, ports, endpoints }: SliceContents): Promise<void> {
    const slice = await this.deps.client.create(endpointSlices, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        namespace: service.metadata.namespace,
        generateName: `${service.metadata.name}-`,
        labels: sliceLabels(service),
        ownerReferences: [controllerReference(services, service)],
      },
      addressType,
      ports,
      endpoints,
    });
    const recent = this.created.get(service.metadata.uid) ?? new Map<string, Stored<EndpointSlice>>();
    recent.set(slice.metadata.name, slice);
    this.created.set(service.metadata.uid, recent);
  }

  private async update(
    service: Stored<Service>,
    slice: Stored<EndpointSlice>,
    endpoints: EndpointSlice['endpoints'],
  ): Promise<void> {
    const metadata = { ...slice.metadata, labels: sliceLabels(service) };
    await this.deps.client.update(endpointSlices, { ...slice, metadata, endpoints });
  }

  private async delete({ metadata }: Stored<EndpointSlice>): Promise<void> {
    const { namespace, name, uid } = metadata;
    try {
      await this.deps.client.delete(endpointSlices, { namespace, name }, { preconditions: { uid } });
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error;
    }
  }
}

export function hasSelector({ spec }: Service): boolean {
  return Object.keys(spec?.selector ?? {}).length > 0;
}

/** Tells kube-proxy and DNS which pods stand behind each Service. */
export const endpointSliceController: Controller = {
  name: 'endpointslice-controller',
  watches: ({ informers }) => [
    watch(services, service => [objectKey(service)]),
    watch(pods, serviceKeysOf(informers), { relevant: changesEndpoints }),
    watch(endpointSlices, ({ metadata }) => {
      const name = metadata.labels?.[nameLabel];
      return name && metadata.labels?.[managedByLabel] === managedBy ? [`${metadata.namespace ?? ''}/${name}`] : [];
    }),
    // The zone of a node is in its endpoints.
    watch(
      nodes,
      ({ metadata }) => informers.lister(pods).byIndex('node', metadata.name).flatMap(serviceKeysOf(informers)),
      {
        relevant: (node, old) =>
          node.metadata.labels?.['topology.kubernetes.io/zone'] !==
          old.metadata.labels?.['topology.kubernetes.io/zone'],
      },
    ),
  ],
  build(deps) {
    const reconciler = new EndpointSliceReconciler(deps);
    return { reconcile: key => reconciler.reconcile(key) };
  },
};
