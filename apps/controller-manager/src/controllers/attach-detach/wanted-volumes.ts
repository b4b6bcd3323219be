import {
  claimNameOf,
  csiDrivers,
  isReservedFor,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  attachmentName,
  type CsiHandle,
  type PersistentVolume,
  type Pod,
  type Stored,
} from '@naru/api';
import type { ClusterInformers } from '../../framework/informers';
import { isFinished } from '../../pods/pod-state';

/** A volume that is to be attached to a node, and the pods for which it is. */
export interface WantedVolume {
  handle: CsiHandle;
  volume: Stored<PersistentVolume>;
  pods: Stored<Pod>[];
}

/** What a driver attaches: the volumes of all drivers but those that say that they need no attaching. */
export function attachableHandle(volume: PersistentVolume, informers: ClusterInformers): CsiHandle | undefined {
  const { csi } = volume.spec ?? {};
  if (!csi) return undefined;
  const driver = informers.lister(csiDrivers).get({ name: csi.driver });
  if (driver?.spec.attachRequired === false) return undefined;
  return { driver: csi.driver, handle: csi.volumeHandle };
}

/** The bound volumes that the unfinished pods of a node need attached, by the names of their VolumeAttachments. */
export function wantedVolumes(nodeName: string, informers: ClusterInformers): Map<string, WantedVolume> {
  const wanted = new Map<string, WantedVolume>();
  for (const pod of informers.lister(pods).byIndex('node', nodeName)) {
    if (isFinished(pod)) continue;
    for (const volume of volumesOf(pod, informers)) {
      const handle = attachableHandle(volume, informers);
      if (!handle) continue;
      const name = attachmentName(handle, nodeName);
      const known = wanted.get(name);
      if (known) known.pods.push(pod);
      else wanted.set(name, { handle, volume, pods: [pod] });
    }
  }
  return wanted;
}

function volumesOf(pod: Stored<Pod>, informers: ClusterInformers): Stored<PersistentVolume>[] {
  const { namespace } = pod.metadata;
  return (pod.spec?.volumes ?? []).flatMap(entry => {
    const name = claimNameOf(pod, entry);
    const claim = name && informers.lister(persistentVolumeClaims).get({ namespace, name });
    if (!claim || !claim.spec?.volumeName || claim.status?.phase !== 'Bound') return [];
    const volume = informers.lister(persistentVolumes).get({ name: claim.spec.volumeName });
    return volume && isReservedFor(volume, claim) ? [volume] : [];
  });
}
