import { nodes } from '@naru/api';
import { isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { withKind } from '../../framework/owner';
import { CidrAllocator } from './cidr-allocator';

const exhaustedRetryMs = 10_000;

function build(deps: ControllerDeps) {
  const { client, informers, recorder, config, logger } = deps;
  const allocator = new CidrAllocator(config.clusterCidr, config.nodeCidrMaskSize);
  const lister = informers.lister(nodes);
  let surveyed = false;
  /** What nodes hold already is taken before anything is given: after a restart the nodes themselves are the record. */
  const survey = (): void => {
    if (surveyed) return;
    surveyed = true;
    for (const { metadata, spec } of lister.list()) if (spec?.podCIDR) allocator.occupy(spec.podCIDR, metadata.name);
  };
  return {
    async reconcile(name: string) {
      if (!config.allocateNodeCidrs) return undefined;
      survey();
      const node = lister.get({ name });
      if (!node) return allocator.release(name);
      const held = node.spec?.podCIDR;
      if (held) {
        if (!allocator.occupy(held, name)) logger.error({ node: name, podCIDR: held }, 'two nodes have one pod CIDR');
        return undefined;
      }
      // A write whose answer was lost left a subnet with this node's name on it.
      allocator.release(name);
      const podCIDR = allocator.allocate(name);
      if (!podCIDR) {
        recorder.record(withKind(nodes, node), {
          type: 'Normal',
          reason: 'CIDRNotAvailable',
          message: `Node ${name} status is now: CIDRNotAvailable`,
        });
        return { requeueAfterMs: exhaustedRetryMs };
      }
      const { uid, resourceVersion } = node.metadata;
      const body = { metadata: { uid, resourceVersion }, spec: { podCIDR, podCIDRs: [podCIDR] } };
      try {
        await client.patch(nodes, { name }, { type: 'merge', body });
        logger.info({ node: name, podCIDR }, 'pod CIDR allocated');
      } catch (error) {
        if (isReason(error, 'NotFound')) return allocator.release(name);
        throw error;
      }
      return undefined;
    },
  };
}

/** Gives every node its share of the pod addresses. One worker: a subnet is given once. */
export const nodeIpamController: Controller = {
  name: 'node-ipam-controller',
  eventSource: 'cidrAllocator',
  concurrency: 1,
  watches: () => [watch(nodes, ({ metadata }) => [metadata.name])],
  build,
};
