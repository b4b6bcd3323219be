import { nodes, type Node } from '@naru/api';
import type { InformerFactory } from '@naru/client';
import type { PodNetwork } from './pod-network/pod-network';
import type { ServiceProxy } from './service-proxy';

const zoneLabel = 'topology.kubernetes.io/zone';

/** Tells the pod network of all Nodes, and the Services' rules of the zone that this one is in. */
export function followNodes(
  informers: InformerFactory,
  nodeName: string,
  proxy: ServiceProxy,
  network: PodNetwork | undefined,
): void {
  const set = (node: Node): void => {
    if (node.metadata?.name === nodeName) proxy.setZone(node.metadata.labels?.[zoneLabel]);
    network?.setNode(node);
  };
  informers
    .informer({ type: nodes })
    .addHandler({ onAdd: set, onUpdate: set, onDelete: node => network?.deleteNode(node) });
}
