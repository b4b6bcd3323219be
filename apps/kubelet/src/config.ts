import { connectionFlags } from '@naru/client';
import type { FlagSpec, Flags } from '@naru/foundation';

/** The kubelet's command line. Names are upstream's where upstream has them. */
export const kubeletFlags = {
  ...connectionFlags,
  'node-name': { description: 'name of this node', type: 'string', required: true },
  'node-ip': { description: 'addresses of this node, the first one is the main one', type: 'list', required: true },
  'container-runtime-endpoint': {
    description: 'socket of the CRI runtime',
    type: 'string',
    default: 'unix:///run/naru/runtime.sock',
  },
  'root-dir': { description: 'directory for the files of pods', type: 'string', default: '/var/lib/kubelet' },
  'pod-logs-dir': { description: 'directory for logs of containers; ROOT/logs if absent', type: 'string' },
  address: { description: 'address to serve on', type: 'string', default: '0.0.0.0' },
  port: { description: 'port of the HTTPS API', type: 'number', default: 10250 },
  'serving-certificate': { description: 'file with the serving certificate (PEM)', type: 'string', required: true },
  'serving-key': { description: 'file with its key (PEM)', type: 'string', required: true },
  'health-address': { description: 'host:port for health and metrics', type: 'string', default: '127.0.0.1:10248' },
  'cluster-dns': { description: 'addresses of the cluster DNS', type: 'list', default: [] },
  'cluster-domain': { description: 'domain of the cluster', type: 'string', default: 'cluster.local' },
  'resolv-conf': { description: 'resolver of the node', type: 'string', default: '/etc/resolv.conf' },
  'pod-manifest-path': { description: 'directory with manifests of static pods', type: 'string' },
  'max-pods': { description: 'most pods on this node', type: 'number', default: 110 },
  'node-lease-duration-seconds': {
    description: 'silence after which this node counts as gone',
    type: 'number',
    default: 40,
  },
  'pod-max-pids': { description: 'most processes of a pod, 0 for no limit', type: 'number', default: 0 },
  'node-labels': { description: 'labels of the Node, key=value', type: 'list', default: [] },
  'register-with-taints': { description: 'taints of a new Node, key=value:effect', type: 'list', default: [] },
  'cgroup-driver': { description: 'cgroupfs is the only one', type: 'string', default: 'cgroupfs' },
  'cgroup-root': { description: 'cgroup above those of all pods', type: 'string', default: '/naru' },
  'eviction-hard': {
    description: 'thresholds below which the node is under pressure',
    type: 'list',
    default: ['memory.available<100Mi', 'nodefs.available<10%', 'nodefs.inodesFree<5%', 'pid.available<100'],
  },
  'kube-reserved': { description: 'kept from pods: cpu=100m,memory=200Mi', type: 'list', default: [] },
  'sync-frequency-seconds': { description: 'how often mounted ConfigMaps are refreshed', type: 'number', default: 30 },
  'pod-infra-container-image': { description: 'accepted; the runtime decides', type: 'string' },
} as const satisfies Record<string, FlagSpec>;

export type KubeletFlags = Flags<typeof kubeletFlags>;
export const kubeletVersion = 'v1.36.0+naru';
