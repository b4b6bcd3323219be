import { connectionFlags } from '@naru/client';
import { kubernetesVersion, type FlagSpec, type Flags } from '@naru/foundation';

/**
 * The kubelet's command line. Names are upstream's where upstream has them. Flags without a default belong to a field of the
 * KubeletConfiguration, which has it; given, they win over the file.
 */
export const kubeletFlags = {
  ...connectionFlags,
  config: { description: 'file with a KubeletConfiguration; flags win over it', type: 'string' },
  'node-name': { description: 'name of this node', type: 'string', required: true },
  'node-ip': { description: 'addresses of this node, the first one is the main one', type: 'list', required: true },
  'root-dir': { description: 'directory for the files of pods', type: 'string', default: '/var/lib/kubelet' },
  'health-address': {
    description: 'host:port for health and metrics (healthzBindAddress, healthzPort)',
    type: 'string',
  },
  'node-labels': { description: 'labels of the Node, key=value', type: 'list', default: [] },
  'pod-infra-container-image': {
    description: 'the image of the runtime for sandboxes, which is not collected',
    type: 'string',
  },
  'container-runtime-endpoint': { description: 'socket of the CRI runtime', type: 'string' },
  'pod-logs-dir': { description: 'directory for logs of containers; ROOT/logs if absent', type: 'string' },
  address: { description: 'address to serve on', type: 'string' },
  port: { description: 'port of the HTTPS API', type: 'number' },
  'serving-certificate': { description: 'file with the serving certificate (PEM)', type: 'string' },
  'serving-key': { description: 'file with its key (PEM)', type: 'string' },
  'cluster-dns': { description: 'addresses of the cluster DNS', type: 'list' },
  'cluster-domain': { description: 'domain of the cluster', type: 'string' },
  'resolv-conf': { description: 'resolver of the node', type: 'string' },
  'pod-manifest-path': { description: 'directory with manifests of static pods', type: 'string' },
  'allowed-unsafe-sysctls': { description: 'sysctls that pods may set besides the safe ones', type: 'list' },
  'manifest-url': { description: 'address that answers with manifests of static pods', type: 'string' },
  'manifest-url-header': { description: 'headers for it, name:value', type: 'list' },
  'max-pods': { description: 'most pods on this node', type: 'number' },
  'node-lease-duration-seconds': { description: 'silence after which this node counts as gone', type: 'number' },
  'pod-max-pids': { description: 'most processes of a pod, -1 for no limit', type: 'number' },
  'register-with-taints': { description: 'taints of a new Node, key=value:effect', type: 'list' },
  'cgroup-driver': { description: 'cgroupfs or systemd; a runtime that names its own wins', type: 'string' },
  'cgroup-root': { description: 'cgroup above those of all pods', type: 'string' },
  'eviction-hard': { description: 'pods go at once below these: memory.available<100Mi,...', type: 'list' },
  'eviction-soft': { description: 'pods go below these after a grace period', type: 'list' },
  'eviction-soft-grace-period': { description: 'how long soft thresholds wait: memory.available=1m,...', type: 'list' },
  'eviction-minimum-reclaim': { description: 'what an eviction gives back at least', type: 'list' },
  'cpu-manager-policy': { description: 'none or static: whole CPUs for containers of Guaranteed pods', type: 'string' },
  'cpu-manager-policy-options': { description: 'full-pcpus-only=true,...', type: 'list' },
  'reserved-cpus': { description: 'CPUs kept for the system: 0-1,8', type: 'string' },
  'memory-manager-policy': { description: 'None or Static: memory of NUMA nodes for Guaranteed pods', type: 'string' },
  'reserved-memory': { description: 'memory kept for the system by NUMA node: 0:memory=1Gi,...', type: 'list' },
  'topology-manager-policy': { description: 'none, best-effort, restricted or single-numa-node', type: 'string' },
  'topology-manager-scope': { description: 'container or pod', type: 'string' },
  'system-reserved': { description: 'kept from pods for the system: cpu=100m,memory=200Mi', type: 'list' },
  'kube-reserved': { description: 'kept from pods for the node agents: cpu=100m,memory=200Mi', type: 'list' },
} as const satisfies Record<string, FlagSpec>;

export type KubeletFlags = Flags<typeof kubeletFlags>;
export const kubeletVersion = kubernetesVersion;
