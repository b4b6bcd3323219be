import { claimNamesOf } from '@naru/api';
import { stateKey } from '../framework/cycle-state';
import { skip, unschedulable } from '../framework/status';
import type { PluginFactory } from '../framework/types';
import { usesClaims } from '../storage/pod-claims';

const holdersKey = stateKey<Set<string>>('VolumeRestrictions/holders');
const refused = unschedulable(
  'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode',
);

/** A claim of the mode ReadWriteOncePod is for one pod of the whole cluster. */
export const volumeRestrictions: PluginFactory = {
  name: 'VolumeRestrictions',
  requeueOn: ['AssignedPodDelete', 'ClaimChange'],
  build: ({ storage, cache }) => ({
    preFilter(state, { pod }, nodes) {
      if (!usesClaims(pod)) return skip;
      const { namespace } = pod.metadata;
      const exclusive = claimNamesOf(pod).filter(name =>
        storage.claims.get({ namespace, name })?.spec?.accessModes?.includes('ReadWriteOncePod'),
      );
      if (exclusive.length === 0) return skip;
      const holders = new Set<string>();
      for (const node of nodes)
        for (const { pod: other, uid } of node.pods.values())
          if (other.metadata.namespace === namespace && claimNamesOf(other).some(name => exclusive.includes(name)))
            holders.add(uid);
      if (holders.size === 0) return skip;
      state.write(holdersKey, holders);
      return undefined;
    },
    // Refused while any holder is placed, wherever; only on a holder's own node does preemption help.
    filter: (state, _pod, node) => {
      const holders = state.read(holdersKey) ?? new Set<string>();
      const placed = [...holders].some(uid => node.pods.has(uid) || cache.isPlaced(uid));
      return placed ? refused : undefined;
    },
  }),
};
