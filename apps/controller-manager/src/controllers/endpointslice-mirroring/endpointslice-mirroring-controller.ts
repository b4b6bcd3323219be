import { endpoints, endpointSlices, services, type Endpoints, type EndpointSlice, type Stored } from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { isReason } from '@naru/foundation';
import { equalJson } from '../../framework/canonical';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { controllerOf, controllerReference, ownerKeys } from '../../framework/owner';
import { hasSelector } from '../endpointslice/endpointslice-controller';
import { diffSlices, type SliceContents } from '../endpointslice/slice-diff';
import { mirroredEndpoints } from './mirrored-endpoints';

const nameLabel = 'kubernetes.io/service-name';
const managedByLabel = 'endpointslice.kubernetes.io/managed-by';
const managedBy = 'endpointslicemirroring-controller.k8s.io';
const skipLabel = 'endpointslice.kubernetes.io/skip-mirror';
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';
const families = ['IPv4', 'IPv6'] as const;

function wantsMirror({ metadata }: Stored<Endpoints>): boolean {
  return metadata.labels?.[skipLabel] !== 'true' && !metadata.annotations?.[leaderAnnotation];
}

function labelsOf({ metadata }: Stored<Endpoints>): Record<string, string> {
  return {
    ...metadata.labels,
    [nameLabel]: metadata.name,
    [managedByLabel]: managedBy,
  } as Record<string, string>;
}

class MirroringReconciler {
  /** Slices just created, which the informer may not show yet: uid of the Endpoints → slice name → slice. */
  private readonly created = new Map<string, Map<string, Stored<EndpointSlice>>>();

  constructor(private readonly deps: ControllerDeps) {
    deps.informers.get(endpoints).addHandler({ onDelete: ({ metadata }) => void this.created.delete(metadata.uid) });
    deps.informers.get(endpointSlices).addHandler({
      onDelete: slice => void this.created.get(controllerOf(slice)?.uid ?? '')?.delete(slice.metadata.name),
    });
  }

  async reconcile(key: string): Promise<void> {
    const { informers } = this.deps;
    const source = informers.lister(endpoints).get(parseKey(key));
    // The slices of Endpoints that are gone are the garbage collector's.
    if (!source || source.metadata.deletionTimestamp) return;
    const service = informers.lister(services).get(parseKey(key));
    const mirror = service && !hasSelector(service) && wantsMirror(source);
    const existing = this.slicesOf(source);
    for (const family of families) {
      const ofFamily = existing.filter(({ addressType }) => addressType === family);
      const changes = diffSlices(ofFamily, mirror ? mirroredEndpoints(source, family) : [], family);
      const touched = new Set([...changes.update.map(({ slice }) => slice), ...changes.delete]);
      const relabeled = ofFamily.filter(
        slice => !touched.has(slice) && !equalJson(slice.metadata.labels, labelsOf(source)),
      );
      await Promise.all([
        ...changes.create.map(contents => this.create(source, contents)),
        ...changes.update.map(change => this.update(source, change.slice, change.endpoints)),
        ...relabeled.map(slice => this.update(source, slice, slice.endpoints)),
        ...changes.delete.map(slice => this.delete(slice)),
      ]);
    }
  }

  private slicesOf({ metadata }: Stored<Endpoints>): Stored<EndpointSlice>[] {
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

  private async create(source: Stored<Endpoints>, contents: SliceContents): Promise<void> {
    const slice = await this.deps.client.create(endpointSlices, {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: {
        namespace: source.metadata.namespace,
        generateName: `${source.metadata.name}-`,
        labels: labelsOf(source),
        ownerReferences: [controllerReference(endpoints, source)],
      },
      ...contents,
    });
    const recent = this.created.get(source.metadata.uid) ?? new Map<string, Stored<EndpointSlice>>();
    recent.set(slice.metadata.name, slice);
    this.created.set(source.metadata.uid, recent);
  }

  private async update(
    source: Stored<Endpoints>,
    slice: Stored<EndpointSlice>,
    contents: EndpointSlice['endpoints'],
  ): Promise<void> {
    const metadata = { ...slice.metadata, labels: labelsOf(source) };
    await this.deps.client.update(endpointSlices, { ...slice, metadata, endpoints: contents });
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

/** Copies Endpoints that people write for Services without a selector into slices, which is what everyone reads. */
export const endpointSliceMirroringController: Controller = {
  name: 'endpointslice-mirroring-controller',
  watches: () => [
    watch(endpoints, object => [objectKey(object)]),
    watch(services, service => [objectKey(service)], { relevant: (a, b) => hasSelector(a) !== hasSelector(b) }),
    watch(endpointSlices, ownerKeys(endpoints)),
  ],
  build(deps) {
    const reconciler = new MirroringReconciler(deps);
    return { reconcile: key => reconciler.reconcile(key) };
  },
};
