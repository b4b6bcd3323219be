import { storageClassOf, type Pod, type Stored } from '@naru/api';
import { stateKey } from '../framework/cycle-state';
import { skip, unschedulable } from '../framework/status';
import type { PluginFactory } from '../framework/types';
import { claimsOfPod, usesClaims } from '../storage/pod-claims';
import type { StorageView } from '../storage/storage-view';

const wantedKey = stateKey<Map<string, string>>('NodeVolumeLimits/wanted');
const refused = unschedulable('node(s) exceed max volume count');

/** The CSI volumes of a pod: each volume's own key → its driver. One that is yet to be made counts for its claim. */
function csiVolumes(pod: Stored<Pod>, storage: StorageView): Map<string, string> {
  const volumes = new Map<string, string>();
  const claims = usesClaims(pod) ? claimsOfPod(pod, storage) : undefined;
  if (!claims || typeof claims === 'string') return volumes;
  for (const claim of [...claims.bound, ...claims.delayed]) {
    const volume = storage.volumes.get({ name: claim.spec?.volumeName ?? '' });
    const driver = volume?.spec?.csi?.driver;
    if (driver) volumes.set(`${driver}/${volume.spec?.csi?.volumeHandle ?? ''}`, driver);
    const provisioner = volume ? undefined : storage.classes.get({ name: storageClassOf(claim) ?? '' })?.provisioner;
    if (provisioner) volumes.set(`${provisioner}/${claim.metadata.uid}`, provisioner);
  }
  return volumes;
}

/** A node attaches only so many volumes of a CSI driver, as its CSINode says. */
export const nodeVolumeLimits: PluginFactory = {
  name: 'NodeVolumeLimits',
  requeueOn: ['CSINodeChange', 'AssignedPodDelete', 'ClaimChange'],
  build: ({ storage }) => ({
    preFilter(state, { pod }) {
      const wanted = csiVolumes(pod, storage);
      if (wanted.size === 0) return skip;
      state.write(wantedKey, wanted);
      return undefined;
    },
    filter(state, _pod, node) {
      const drivers = storage.csiNodes.get({ name: node.name })?.spec?.drivers ?? [];
      const limits = new Map(drivers.map(({ name, allocatable }) => [name, allocatable?.count]));
      const wanted = state.read(wantedKey) ?? new Map<string, string>();
      if (![...wanted.values()].some(driver => limits.get(driver) !== undefined)) return undefined;
      const all = new Map(wanted);
      for (const { pod } of node.pods.values())
        for (const [key, driver] of csiVolumes(pod, storage)) all.set(key, driver);
      for (const driver of new Set(wanted.values())) {
        const limit = limits.get(driver);
        const count = [...all.values()].filter(other => other === driver).length;
        if (limit !== undefined && count > limit) return refused;
      }
      return undefined;
    },
  }),
};
