import { nodes, type Node } from '@naru/api';
import type { InformerFactory } from '@naru/client';
import type { AddressAnnouncer } from './load-balancer/address-announcer';
import type { PolicyEnforcer } from './network-policy/policy-enforcer';
import { firstRange, ipFamilies } from './desired/ip-family';
import { podCidrsOf } from './pod-network/peer';
import type { PodNetwork } from './pod-network/pod-network';
import type { ServiceProxy } from './service-proxy';

const zoneLabel = 'topology.kubernetes.io/zone';

export interface NodeFollowers {
  informers: InformerFactory;
  nodeName: string;
  /** Hears of the zone that this node is in. */
  proxy: ServiceProxy;
  /** Hears of this node's range of pods. */
  policies: PolicyEnforcer | undefined;
  /** These two hear of all Nodes. */
  network: PodNetwork | undefined;
  announcer: AddressAnnouncer | undefined;
}

/** Tells those who need it of Nodes. */
export function followNodes({ informers, nodeName, proxy, policies, network, announcer }: NodeFollowers): void {
  const set = (node: Node): void => {
    if (node.metadata?.name === nodeName) {
      proxy.setZone(node.metadata.labels?.[zoneLabel]);
      const ranges = podCidrsOf(node);
      for (const family of ipFamilies) policies?.setPodCidr(family, firstRange(ranges, family));
    }
    network?.setNode(node);
    announcer?.setNode(node);
  };
  informers.informer({ type: nodes }).addHandler({
    onAdd: set,
    onUpdate: set,
    onDelete(node) {
      network?.deleteNode(node);
      announcer?.deleteNode(node);
    },
  });
}
