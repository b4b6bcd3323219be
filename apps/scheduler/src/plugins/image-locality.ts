import type { Pod } from '@naru/api';
import { stateKey } from '../framework/cycle-state';
import { skip } from '../framework/status';
import { maxNodeScore, type Handle, type PluginFactory } from '../framework/types';

const mib = 1024 * 1024;
const minThreshold = 23 * mib;
const maxContainerThreshold = 1000 * mib;
const scoresKey = stateKey<Map<string, number>>('ImageLocality');

/** As the kubelet reports them: with a tag. */
function normalizedImageName(name: string): string {
  return name.lastIndexOf(':') <= name.lastIndexOf('/') ? `${name}:latest` : name;
}

/** Node → bytes of the pod's images that it has, weighted by how common each image is, to keep one node from getting all. */
function imageBytes(pod: Pod, { cache }: Handle): Map<string, number> {
  const bytes = new Map<string, number>();
  for (const { image } of [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])]) {
    const nodes = image ? cache.imageNodes(normalizedImageName(image)) : undefined;
    if (!nodes) continue;
    const spread = nodes.size / cache.nodeCount;
    for (const [node, size] of nodes) bytes.set(node, (bytes.get(node) ?? 0) + Math.floor(size * spread));
  }
  return bytes;
}

/** Prefers nodes that have the pod's large images already. */
export const imageLocality: PluginFactory = {
  name: 'ImageLocality',
  requeueOn: [],
  build: handle => ({
    preScore(state, { pod }) {
      const bytes = imageBytes(pod, handle);
      if (bytes.size === 0) return skip;
      state.write(scoresKey, bytes);
      return undefined;
    },
    score(state, { pod }, { name }) {
      const containers = (pod.spec?.containers.length ?? 0) + (pod.spec?.initContainers?.length ?? 0);
      const maxThreshold = maxContainerThreshold * containers;
      const bytes = Math.min(Math.max(state.read(scoresKey)?.get(name) ?? 0, minThreshold), maxThreshold);
      return Math.floor((maxNodeScore * (bytes - minThreshold)) / (maxThreshold - minThreshold));
    },
  }),
};
