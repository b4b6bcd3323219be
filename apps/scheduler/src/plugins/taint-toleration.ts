import { findUntoleratedTaint, tolerates, type Toleration } from '@naru/api';
import { stateKey } from '../framework/cycle-state';
import { normalizeByMax } from '../framework/normalize';
import { unresolvable, type Status } from '../framework/status';
import type { PluginFactory } from '../framework/types';

const tolerationsKey = stateKey<readonly Toleration[]>('TaintToleration');
const hardEffects = ['NoSchedule', 'NoExecute'];
/** Many nodes share a taint: one Status each is enough. Bounded by being cleared. */
const refusals = new Map<string, Status>();
const maxRefusals = 256;

function refusal(key: string, value: string): Status {
  const reason = `node(s) had untolerated taint {${key}: ${value}}`;
  const known = refusals.get(reason);
  if (known) return known;
  if (refusals.size >= maxRefusals) refusals.clear();
  const status = unresolvable(reason);
  refusals.set(reason, status);
  return status;
}

/** NoSchedule and NoExecute taints forbid, PreferNoSchedule taints cost. */
export const taintToleration: PluginFactory = {
  name: 'TaintToleration',
  weight: 3,
  requeueOn: ['NodeAdd', 'NodeTaints', 'PodUpdate'],
  isHelped: ({ pod }, { node }) =>
    !findUntoleratedTaint(node?.node?.spec?.taints ?? [], pod.spec?.tolerations, hardEffects),
  build: () => ({
    filter(_state, { pod }, { node }) {
      const taints = node?.spec?.taints;
      if (!taints?.length) return undefined;
      const taint = findUntoleratedTaint(taints, pod.spec?.tolerations, hardEffects);
      return taint && refusal(taint.key, taint.value ?? '');
    },
    preScore(state, { pod }) {
      const soft = (pod.spec?.tolerations ?? []).filter(({ effect }) => !effect || effect === 'PreferNoSchedule');
      state.write(tolerationsKey, soft);
      return undefined;
    },
    score(state, _pod, { node }) {
      const taints = node?.spec?.taints;
      if (!taints?.length) return 0;
      const tolerations = state.read(tolerationsKey) ?? [];
      return taints.filter(
        taint => taint.effect === 'PreferNoSchedule' && !tolerations.some(toleration => tolerates(toleration, taint)),
      ).length;
    },
    normalizeScore: (_state, _pod, scores) => normalizeByMax(scores, true),
  }),
};
