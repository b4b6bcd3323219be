import { nodes, type Node } from '@naru/api';
import type { InformerFactory } from '@naru/client';
import type { PolicyEnforcer } from './network-policy/policy-enforcer';
import { podCidrOf } from './pod-network/peer';
import type { PodNetwork } from './pod-network/pod-network';
import type { ServiceProxy } from './service-proxy';

const zoneLabel = 'topology.kubernetes.io/zone';

/** Tells the pod network of all Nodes, the Services' rules of the zone that this one is in, and the policies of its range. */
export function followNodes(
  informers: InformerFactory,
  nodeName: string,
  proxy: ServiceProxy,
  network: PodNetwork | undefined,
  policies: PolicyEnforcer | undefined,
): void {
  const set = (node: Node): void => {
    if (node.metadata?.name === nodeName) {
      proxy.setZone(node.metadata.labels?.[zoneLabel]);
      policies?.setPodCidr(podCidrOf(node));
    }
    network?.setNode(node);
  };
  informers
    .informer({ type: nodes })
    .addHandler({ onAdd: set, onUpdate: set, onDelete: node => network?.deleteNode(node) });
}
