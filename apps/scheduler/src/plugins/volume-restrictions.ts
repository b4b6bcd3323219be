import { claimNamesOf } from '@naru/api';
import type { NodeInfo } from '../cache/node-info';
import { stateKey } from '../framework/cycle-state';
import { skip, unschedulable } from '../framework/status';
import type { PluginFactory } from '../framework/types';
import { usesClaims } from '../storage/pod-claims';

const holdersKey = stateKey<{ uid: string; on: NodeInfo }[]>('VolumeRestrictions/holders');
const refused = unschedulable(
  'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode',
);

/** A claim of the mode ReadWriteOncePod is for one pod of the whole cluster. */
export const volumeRestrictions: PluginFactory = {
  name: 'VolumeRestrictions',
  requeueOn: ['AssignedPodDelete', 'ClaimChange'],
  build: ({ storage }) => ({
    preFilterCountsPods: true,
    preFilter(state, { pod }, nodes) {
      if (!usesClaims(pod)) return skip;
      const { namespace } = pod.metadata;
      const exclusive = claimNamesOf(pod).filter(name =>
        storage.claims.get({ namespace, name })?.spec?.accessModes?.includes('ReadWriteOncePod'),
      );
      if (exclusive.length === 0) return skip;
      const holders: { uid: string; on: NodeInfo }[] = [];
      for (const node of nodes)
        for (const { pod: other, uid } of node.pods.values())
          if (other.metadata.namespace === namespace && claimNamesOf(other).some(name => exclusive.includes(name)))
            holders.push({ uid, on: node });
      if (holders.length === 0) return skip;
      state.write(holdersKey, holders);
      return undefined;
    },
    // Refused while any holder is placed, wherever; only on a holder's own node does preemption help.
    filter: state => {
      const isHeld = state.read(holdersKey)?.some(({ uid, on }) => on.pods.has(uid));
      return isHeld ? refused : undefined;
    },
  }),
};
