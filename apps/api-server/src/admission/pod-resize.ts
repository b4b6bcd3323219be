import { deepEqual, nodes, podRequests, pods, resourceAmounts, type Node, type Pod } from '@naru/api';
import { StatusError } from '@naru/foundation';
import { objectOf } from './cached-objects';
import { isResource } from './is-resource';
import type { AdmissionPlugin } from './plugin';
import { refuse } from './refuse';

/** A pod is not resized to more than its node will ever have, which the kubelet could only call infeasible later. */
export const podResize: AdmissionPlugin = {
  name: 'PodResizeValidator',
  handles: request => request.operation === 'update' && isResource(request, pods, 'resize'),
  validate(request, deps) {
    const pod = request.object as Pod;
    const nodeName = pod.spec?.nodeName;
    if (!nodeName || deepEqual(pod.spec, (request.old as Pod).spec)) return;
    const node = objectOf(deps, nodes, '', nodeName);
    if (!node) throw refuse(request, `node "${nodeName}" not found`);
    const obstacle = shortageOf(pod, node) ?? otherSystem(node);
    if (!obstacle) return;
    const { message, details } = refuse(request, obstacle.why);
    const causes = [{ reason: obstacle.cause, message: '' }];
    throw new StatusError('Forbidden', message, { details: { ...details, causes } });
  },
};

interface Obstacle {
  cause: 'NodeCapacity' | 'UnsupportedPlatform';
  why: string;
}

function shortageOf(pod: Pod, node: Node): Obstacle | undefined {
  const requests = podRequests(pod);
  const allocatable = resourceAmounts(node.status?.allocatable);
  const shortages = ['cpu', 'memory'].flatMap(name => {
    const [requested = 0, has = 0] = [requests.get(name), allocatable.get(name)];
    return requested > has ? [`${name}, requested: ${requested}, allocatable: ${has}`] : [];
  });
  if (shortages.length === 0) return undefined;
  return {
    cause: 'NodeCapacity',
    why: `Node didn't have enough allocatable resources: ${shortages.join('; ')}`,
  };
}

function otherSystem({ metadata }: Node): Obstacle | undefined {
  const os = metadata?.labels?.['kubernetes.io/os'] ?? '';
  if (os === 'linux') return undefined;
  const why = `pod resize is only supported on linux nodes, node "${metadata?.name}" is "${os}"`;
  return { cause: 'UnsupportedPlatform', why };
}
