import { endpoints, endpointSlices, services, type Endpoints, type Stored } from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { ownerKeys } from '../../framework/owner';
import { hasSelector } from '../endpointslice/endpointslice-controller';
import { SliceKeeper } from '../endpointslice/slice-keeper';
import { mirroredEndpoints } from './mirrored-endpoints';

const managedBy = 'endpointslicemirroring-controller.k8s.io';
const skipLabel = 'endpointslice.kubernetes.io/skip-mirror';
const leaderAnnotation = 'control-plane.alpha.kubernetes.io/leader';
const families = ['IPv4', 'IPv6'] as const;

function wantsMirror({ metadata }: Stored<Endpoints>): boolean {
  return metadata.labels?.[skipLabel] !== 'true' && !metadata.annotations?.[leaderAnnotation];
}

class MirroringReconciler {
  private readonly slices: SliceKeeper<Endpoints>;

  constructor(private readonly deps: ControllerDeps) {
    const labelsOf = ({ metadata }: Stored<Endpoints>) => ({ ...metadata.labels }) as Record<string, string>;
    this.slices = new SliceKeeper({ deps, ownerType: endpoints, managedBy, labelsOf });
  }

  async reconcile(key: string): Promise<void> {
    const { informers } = this.deps;
    const source = informers.lister(endpoints).get(parseKey(key));
    // The slices of Endpoints that are gone are the garbage collector's.
    if (!source || source.metadata.deletionTimestamp) return;
    const service = informers.lister(services).get(parseKey(key));
    const mirror = service && !hasSelector(service) && wantsMirror(source);
    for (const family of families)
      await this.slices.sync(source, family, mirror ? mirroredEndpoints(source, family) : []);
  }
}

/** Copies Endpoints that people write for Services without a selector into slices, which is what everyone reads. */
export const endpointSliceMirroringController: Controller = {
  name: 'endpointslice-mirroring-controller',
  eventSource: 'endpoint-slice-mirroring-controller',
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
