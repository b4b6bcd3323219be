import { pods, type Pod, type Toleration } from '@naru/api';
import { isResource } from './is-resource';
import type { AdmissionPlugin } from './plugin';

const seconds = 300;
const keys = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable'];

/** A pod stays five minutes on a node that is away, unless it says something else. */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  handles: request => (request.operation === 'create' || request.operation === 'update') && isResource(request, pods),
  admit({ object }) {
    const { spec } = object as Pod;
    if (!spec) return;
    for (const key of keys)
      if (!(spec.tolerations ?? []).some(toleration => covers(toleration, key)))
        spec.tolerations = [
          ...(spec.tolerations ?? []),
          { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: seconds },
        ];
  },
};

function covers({ key, effect }: Toleration, wanted: string): boolean {
  return (key === wanted || !key) && (effect === 'NoExecute' || !effect);
}
