import { csiDrivers, persistentVolumeClaims, persistentVolumes, type Pod, type Volume } from '@naru/api';
import { objectOf } from './cached-objects';
import type { AdmissionDeps } from './plugin';

/** Whom the tokens in a pod's volumes address: projected ones, and those that its CSI drivers ask for. "" is the API server. */
export function podAudiences(pod: Pod, deps: AdmissionDeps): ReadonlySet<string> {
  const found = new Set<string>();
  for (const volume of pod.spec?.volumes ?? []) {
    for (const { serviceAccountToken } of volume.projected?.sources ?? [])
      if (serviceAccountToken) found.add(serviceAccountToken.audience ?? '');
    const driver = driverOf(volume, pod, deps);
    const requests = driver ? objectOf(deps, csiDrivers, '', driver)?.spec.tokenRequests : undefined;
    for (const { audience } of requests ?? []) found.add(audience);
  }
  return found;
}

/** The CSI driver of a volume: its own, or that of the persistent volume that its claim is bound to. */
function driverOf(volume: Volume, { metadata }: Pod, deps: AdmissionDeps): string | undefined {
  if (volume.csi) return volume.csi.driver;
  const ephemeral = volume.ephemeral && `${metadata?.name ?? ''}-${volume.name}`;
  const claimName = volume.persistentVolumeClaim?.claimName ?? ephemeral;
  const claim = claimName && objectOf(deps, persistentVolumeClaims, metadata?.namespace ?? '', claimName);
  const volumeName = claim ? claim.spec?.volumeName : undefined;
  return volumeName ? objectOf(deps, persistentVolumes, '', volumeName)?.spec?.csi?.driver : undefined;
}
