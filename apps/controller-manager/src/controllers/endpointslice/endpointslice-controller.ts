import { endpointSlices, nodes, pods, services, type Service } from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { addressTypes, desiredEndpoints } from './desired-endpoints';
import { changesEndpoints, selectPods, serviceKeysOf } from './service-pods';
import { SliceKeeper, managedByLabel, serviceNameLabel } from './slice-keeper';

const managedBy = 'endpointslice-controller.k8s.io';
const headlessLabel = 'service.kubernetes.io/headless';

class EndpointSliceReconciler {
  private readonly slices: SliceKeeper<Service>;

  constructor(private readonly deps: ControllerDeps) {
    this.slices = new SliceKeeper({
      deps,
      ownerType: services,
      managedBy,
      labelsOf: ({ metadata, spec }) => ({
        ...(metadata.labels as Record<string, string> | undefined),
        ...(spec?.clusterIP === 'None' ? { [headlessLabel]: '' } : {}),
      }),
    });
  }

  async reconcile(key: string): Promise<void> {
    const { informers } = this.deps;
    const service = informers.lister(services).get(parseKey(key));
    // Without a selector the endpoints are someone else's business; those of a deleted Service the garbage collector's.
    if (!service || service.metadata.deletionTimestamp || !hasSelector(service)) return;
    if (service.spec?.type === 'ExternalName') return;
    const types = addressTypes(service);
    const selected = selectPods(informers, service);
    const getNode = (name: string) => informers.lister(nodes).get({ name });
    await this.slices.keepOnly(service, types);
    for (const type of types) await this.slices.sync(service, type, desiredEndpoints(service, selected, type, getNode));
  }
}

export function hasSelector({ spec }: Service): boolean {
  return Object.keys(spec?.selector ?? {}).length > 0;
}

/** Tells kube-proxy and DNS which pods stand behind each Service. */
export const endpointSliceController: Controller = {
  name: 'endpointslice-controller',
  eventSource: 'endpoint-slice-controller',
  watches: ({ informers }) => [
    watch(services, service => [objectKey(service)]),
    watch(pods, serviceKeysOf(informers), { relevant: changesEndpoints }),
    watch(endpointSlices, ({ metadata }) => {
      const name = metadata.labels?.[serviceNameLabel];
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
