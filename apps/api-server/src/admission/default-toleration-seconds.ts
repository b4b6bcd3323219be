import { pods, type Pod, type Toleration } from '@naru/api';
import { isResource } from './is-resource';
import type { AdmissionPlugin } from './plugin';

/** How long a pod that says nothing of its own stays on a node that is away. */
export interface DefaultTolerations {
  notReadySeconds: number;
  unreachableSeconds: number;
}

/** A pod leaves a node that is away after a while, unless it says something else. */
export function defaultTolerationSeconds(defaults: DefaultTolerations): AdmissionPlugin {
  const seconds = [
    ['node.kubernetes.io/not-ready', defaults.notReadySeconds],
    ['node.kubernetes.io/unreachable', defaults.unreachableSeconds],
  ] as const;
  return {
    name: 'DefaultTolerationSeconds',
    handles: request => (request.operation === 'create' || request.operation === 'update') && isResource(request, pods),
    admit({ object }) {
      const { spec } = object as Pod;
      if (!spec) return;
      for (const [key, tolerationSeconds] of seconds)
        if (!(spec.tolerations ?? []).some(toleration => covers(toleration, key)))
          spec.tolerations = [
            ...(spec.tolerations ?? []),
            { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds },
          ];
    },
  };
}

function covers({ key, effect }: Toleration, wanted: string): boolean {
  return (key === wanted || !key) && (effect === 'NoExecute' || !effect);
}
