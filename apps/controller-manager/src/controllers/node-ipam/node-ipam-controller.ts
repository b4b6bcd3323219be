import { nodes, type Node, type Stored } from '@naru/api';
import { isReason } from '@naru/foundation';
import { watch, type Controller, type ControllerDeps } from '../../framework/controller';
import { withKind } from '../../framework/owner';
import { CidrAllocator } from './cidr-allocator';

const exhaustedRetryMs = 10_000;

function build(deps: ControllerDeps) {
  const { client, informers, recorder, config, logger } = deps;
  const allocators = config.clusterCidrs.map(({ cidr, nodeMask }) => new CidrAllocator(cidr, nodeMask));
  for (const allocator of allocators) config.serviceCidrs.forEach(cidr => allocator.withhold(cidr));
  const release = (name: string): void => allocators.forEach(allocator => allocator.release(name));
  const lister = informers.lister(nodes);
  /** The first that another node has already. */
  const occupy = ({ metadata, spec }: Stored<Node>): string | undefined =>
    (spec?.podCIDRs ?? (spec?.podCIDR ? [spec.podCIDR] : [])).find(
      cidr => !allocators.every(allocator => allocator.occupy(cidr, metadata.name)),
    );
  let surveyed = false;
  /** What nodes hold already is taken before anything is given: after a restart the nodes themselves are the record. */
  const survey = (): void => {
    if (surveyed) return;
    surveyed = true;
    for (const node of lister.list()) occupy(node);
  };
  return {
    async reconcile(name: string) {
      if (!config.allocateNodeCidrs) return undefined;
      survey();
      const node = lister.get({ name });
      if (!node) return release(name);
      if (node.spec?.podCIDR) {
        const podCIDR = occupy(node);
        if (podCIDR) logger.error({ node: name, podCIDR }, 'two nodes have one pod CIDR');
        return undefined;
      }
      // A write whose answer was lost left a subnet with this node's name on it.
      release(name);
      const given = allocators.map(allocator => allocator.allocate(name));
      const podCIDRs = given.filter(cidr => cidr !== undefined);
      if (podCIDRs.length < given.length) {
        release(name);
        recorder.record(withKind(nodes, node), {
          type: 'Normal',
          reason: 'CIDRNotAvailable',
          message: `Node ${name} status is now: CIDRNotAvailable`,
        });
        return { requeueAfterMs: exhaustedRetryMs };
      }
      const { uid, resourceVersion } = node.metadata;
      const body = { metadata: { uid, resourceVersion }, spec: { podCIDR: podCIDRs[0], podCIDRs } };
      try {
        await client.patch(nodes, { name }, { type: 'merge', body });
        logger.info({ node: name, podCIDRs }, 'pod CIDRs allocated');
      } catch (error) {
        if (isReason(error, 'NotFound')) return release(name);
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
