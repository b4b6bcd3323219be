import { skip, unresolvable } from '../framework/status';
import { stateKey } from '../framework/cycle-state';
import type { PluginFactory } from '../framework/types';
import { claimsOfPod, usesClaims, volumesOf } from '../storage/pod-claims';

const topologyLabels = [
  'topology.kubernetes.io/zone',
  'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone',
  'failure-domain.beta.kubernetes.io/region',
];
/** Separates the zones of a volume that is in several. */
const separator = '__';

const zonesKey = stateKey<{ label: string; values: Set<string> }[]>('VolumeZone/zones');
const refused = unresolvable('node(s) had no available volume zone');

/** Volumes that are labelled with a zone can be used in that zone only. */
export const volumeZone: PluginFactory = {
  name: 'VolumeZone',
  requeueOn: ['ClaimChange', 'VolumeChange', 'StorageClassChange', 'NodeAdd', 'NodeLabels'],
  build: ({ storage }) => ({
    preFilter(state, { pod }) {
      const claims = usesClaims(pod) ? claimsOfPod(pod, storage) : undefined;
      if (!claims || typeof claims === 'string') return skip;
      const zones = volumesOf(claims.bound, storage).flatMap(volume =>
        topologyLabels.flatMap(label => {
          const value = volume?.metadata.labels?.[label];
          return value === undefined ? [] : [{ label, values: new Set(value.split(separator)) }];
        }),
      );
      if (zones.length === 0) return skip;
      state.write(zonesKey, zones);
      return undefined;
    },
    filter(state, _pod, { node }) {
      const labels = node?.metadata.labels ?? {};
      if (!topologyLabels.some(label => label in labels)) return undefined;
      const fits = state.read(zonesKey)?.every(({ label, values }) => values.has(labels[label] ?? '')) ?? true;
      return fits ? undefined : refused;
    },
  }),
};
