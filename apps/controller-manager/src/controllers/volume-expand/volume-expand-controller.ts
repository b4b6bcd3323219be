import {
  persistentVolumeClaims,
  persistentVolumes,
  quantityValue,
  volumeAnnotations,
  type PersistentVolumeClaim,
} from '@naru/api';
import { objectKey, parseKey } from '@naru/client';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { withKind } from '../../framework/owner';
import { localProvisioner } from '../local-path-provisioner/local-volume';

const wantedOf = ({ spec }: PersistentVolumeClaim): number =>
  quantityValue(spec?.resources?.requests?.['storage'] ?? '0');

/** No kind of volume is grown by the controllers themselves, but for local directories, whose provisioner does it. */
async function reconcile(key: string, { informers, recorder }: ControllerDeps): Promise<void> {
  const claim = informers.lister(persistentVolumeClaims).get(parseKey(key));
  if (!claim || claim.status?.phase !== 'Bound') return;
  if (wantedOf(claim) <= quantityValue(claim.status.capacity?.['storage'] ?? '0')) return;
  const volume = informers.lister(persistentVolumes).get({ name: claim.spec?.volumeName ?? '' });
  if (!volume || volume.metadata.annotations?.[volumeAnnotations.provisionedBy] === localProvisioner) return;
  recorder.record(withKind(persistentVolumeClaims, claim), {
    type: 'Normal',
    reason: 'ExternalExpanding',
    message: 'waiting for an external controller to expand this PVC',
  });
}

/** Says of a claim that asks for more who is to give it. Source: pkg/controller/volume/expand. */
export const volumeExpandController: Controller = {
  name: 'persistentvolume-expander-controller',
  eventSource: 'volume_expand',
  watches: () => [
    watch(persistentVolumeClaims, claim => [objectKey(claim)], {
      relevant: (claim, old) => wantedOf(claim) > wantedOf(old),
    }),
    watch(persistentVolumes, () => []),
  ],
  build: deps => ({ reconcile: key => reconcile(key, deps) }),
};
