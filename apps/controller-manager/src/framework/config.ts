/** The settings of the controllers, from flags; the defaults are Naru's. */
export interface ControllerConfig {
  /** Pod addresses of the cluster, "10.244.0.0/16", and the size of a node's share; one of each family. */
  clusterCidrs: readonly { cidr: string; nodeMask: number }[];
  /** Addresses of Services, which nodes get no share of; empty: not known. */
  serviceCidrs: readonly string[];
  allocateNodeCidrs: boolean;
  /** How long a node may be silent before it counts as unreachable; a longer lease duration of the node counts instead. */
  nodeMonitorGraceMs: number;
  /** The same for a node that has not given a sign of life since this process began: it may just be starting, too. */
  nodeStartupGraceMs: number;
  /** Nodes per second whose pods are evicted, in a healthy zone and in a large one that is mostly unhealthy. */
  nodeEvictionRate: number;
  secondaryNodeEvictionRate: number;
  largeClusterSize: number;
  unhealthyZoneThreshold: number;
  /** Finished pods that are kept. */
  terminatedPodGcThreshold: number;
  /** How long a pod of a node that does not exist is left alone. */
  orphanedPodGraceMs: number;
  /** Where nodes keep the directories of local volumes; empty: there are none, nor the class for them. */
  localPath: string;
  /** Addresses for Services of type LoadBalancer, as 10.0.0.200-10.0.0.239; empty: none are given. */
  loadBalancerAddresses: string;
  /** PEM of the authority that signs certificates, and the longest that one is good for. Absent: nothing is signed. */
  signing?: { certificate: string; key: string; maxSeconds: number };
  /** PEM for kube-root-ca.crt; empty: not published. */
  rootCa: string;
}

export const defaultConfig: ControllerConfig = {
  clusterCidrs: [{ cidr: '10.244.0.0/16', nodeMask: 24 }],
  serviceCidrs: [],
  allocateNodeCidrs: true,
  nodeMonitorGraceMs: 8_000,
  nodeStartupGraceMs: 60_000,
  nodeEvictionRate: 0.1,
  secondaryNodeEvictionRate: 0.01,
  largeClusterSize: 50,
  unhealthyZoneThreshold: 0.55,
  terminatedPodGcThreshold: 12_500,
  orphanedPodGraceMs: 5_000,
  localPath: '/var/lib/naru/local-path',
  loadBalancerAddresses: '',
  rootCa: '',
};
