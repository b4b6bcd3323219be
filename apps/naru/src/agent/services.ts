import path from 'node:path';
import type { ClusterInfo } from '../cluster-info';
import { nodeCommand } from '../control-plane';
import { frugal } from '../frugal';
import { script, type ServiceSpec } from '../keeper';
import type { ContainerRuntime } from './container-runtime';

export interface NodeProcessOptions {
  info: ClusterInfo;
  nodeName: string;
  /** One, or one of each family; the main one first. */
  nodeIps: readonly string[];
  nodeLabels: string[];
  dataDir: string;
  runDir: string;
  /** Undefined: the processes' output stays where the agent's goes. */
  logDir: string | undefined;
  imageStore: string;
  kubeletDir: string;
  containerRuntime: ContainerRuntime;
  /** How to reach registries; undefined: as their names say. */
  registryConfig: string | undefined;
  /** Undefined: the runtime is started with the node. */
  runtimeEndpoint: string | undefined;
}

/** Where Debian's packages put the CNI plugins, and where upstream's and other people's networks do. */
const cniFolders = ['/usr/lib/cni', '/opt/cni/bin'];

/** Where a node's own KubeletConfiguration is. */
export function kubeletConfigFile(dataDir: string): string {
  return path.join(dataDir, 'kubelet-config.json');
}

/** What containerd, which does not pin it, starts in every pod on a node of its own. */
const pauseImage = 'naru.dev/pause:1';

/** What containerd keeps on a node of its own. */
export function containerdDir(dataDir: string): string {
  return path.join(dataDir, 'containerd');
}

/** The processes that make a machine a node: kubelet, kube-proxy, and a runtime unless there is one already. */
export function nodeServices(options: NodeProcessOptions): ServiceSpec[] {
  const { info, nodeName, nodeIps, dataDir, runDir, imageStore } = options;
  const pki = (file: string): string => path.join(dataDir, 'pki', file);
  const identity = (name: string): Record<string, string> => ({
    'api-server': info.apiServer,
    nats: info.nats,
    ca: pki('ca.crt'),
    certificate: pki(`${name}.crt`),
    key: pki(`${name}.key`),
  });
  const cniConfDir = path.join(dataDir, 'cni/net.d');
  const socket = `unix://${path.join(runDir, 'runtime.sock')}`;
  const log = (name: string): { log?: string } =>
    options.logDir ? { log: path.join(options.logDir, `${name}.log`) } : {};
  const service = (name: string, flags: Record<string, string | number>): ServiceSpec => ({
    name,
    argv: nodeCommand(name, flags, frugal.options),
    environment: frugal.environment,
    ...log(name),
  });
  const runtime = service('runtime', {
    listen: socket,
    root: path.join(dataDir, 'runtime'),
    state: path.join(runDir, 'runtime'),
    'image-store': imageStore,
    'cgroup-parent': '/naru',
    'cni-conf-dir': cniConfDir,
    'cni-bin-dir': cniFolders.join(),
    ...(options.registryConfig ? { 'registry-config': options.registryConfig } : {}),
  });
  const containerd: ServiceSpec = {
    name: 'containerd',
    argv: [script('containerd'), containerdDir(dataDir), runDir, cniConfDir, pauseImage],
    ...log('containerd'),
  };
  const runtimes = { naru: runtime, containerd };
  const started = options.runtimeEndpoint ? [] : [runtimes[options.containerRuntime]];
  const kubelet = service('kubelet', {
    ...identity('kubelet'),
    'node-name': nodeName,
    'node-ip': nodeIps.join(','),
    config: kubeletConfigFile(dataDir),
    'container-runtime-endpoint': options.runtimeEndpoint ?? socket,
    'root-dir': options.kubeletDir,
    ...(started.includes(containerd) ? { 'pod-infra-container-image': pauseImage } : {}),
    'serving-certificate': pki('kubeletServing.crt'),
    'serving-key': pki('kubeletServing.key'),
    ...(options.nodeLabels.length > 0 ? { 'node-labels': options.nodeLabels.join(',') } : {}),
  });
  const kubeProxy = service('kube-proxy', {
    ...identity('kubeProxy'),
    'node-name': nodeName,
    'node-ip': nodeIps.join(','),
    'proxy-mode': info.proxyMode,
    'cluster-cidr': info.clusterCidr,
    'pod-network': info.podNetwork,
    'network-policy': String(info.networkPolicy ?? true),
    'container-runtime-endpoint': options.runtimeEndpoint ?? socket,
    'load-balancer-addresses': info.loadBalancerAddresses ?? '',
    'cni-conf-dir': cniConfDir,
  });
  return [...started, kubelet, kubeProxy];
}
