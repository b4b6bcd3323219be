import type { Node, NodeStatus } from '@naru/api';
import { formatTime } from '@naru/foundation';

/** By this label hollow nodes are told from real ones. */
export const hollowLabel = 'naru.dev/hollow';

export interface NodeTemplate {
  prefix: string;
  cpu: string;
  memory: string;
  maxPods: number;
  zones: number;
  taints: NonNullable<NonNullable<Node['spec']>['taints']>;
  /** Such as v1.36.0+naru. */
  version: string;
}

/** 65,536 ranges of 254 addresses, in a block that is routed nowhere: nobody takes a hollow pod for a real one. */
export const maxNodes = 65_536;

/** The pods' range of a node, without its last byte: 240.0.5 of 240.0.5.0/24. */
export function addressPrefix(index: number): string {
  return `240.${index >> 8}.${index & 255}`;
}

/** `hollow-7` → 7; undefined for the name of another node. */
export function indexOf(name: string, prefix: string): number | undefined {
  const digits = name.startsWith(prefix) ? name.slice(prefix.length) : '';
  return /^(0|[1-9]\d{0,4})$/.test(digits) ? Number(digits) : undefined;
}

type Condition = NonNullable<NodeStatus['conditions']>[number];

function conditions(nowMs: number): Condition[] {
  const now = formatTime(nowMs);
  const row = (type: string, status: string, reason: string, message: string): Condition => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  });
  return [
    row('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
    row('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
    row('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
    row('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status'),
  ];
}

export function hollowStatus(name: string, template: NodeTemplate, nowMs: number): NodeStatus {
  const { cpu, memory, maxPods, version } = template;
  const resources = { cpu, memory, 'ephemeral-storage': '1Ti', pods: String(maxPods) };
  return {
    // No InternalIP: there is nothing to reach, and the pod networks of real nodes leave it out.
    addresses: [{ type: 'Hostname', address: name }],
    capacity: resources,
    allocatable: resources,
    conditions: conditions(nowMs),
    daemonEndpoints: {},
    nodeInfo: {
      architecture: 'amd64',
      bootID: '',
      containerRuntimeVersion: 'hollow://1',
      kernelVersion: '',
      kubeProxyVersion: version,
      kubeletVersion: version,
      machineID: '',
      operatingSystem: 'linux',
      osImage: 'hollow',
      systemUUID: '',
    },
  };
}

/** The Node as it registers itself. Its pods' range is its own business, not that of the cluster's address management. */
export function hollowNode(index: number, template: NodeTemplate, nowMs: number): Node {
  const name = `${template.prefix}${index}`;
  const podCIDR = `${addressPrefix(index)}.0/24`;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        [hollowLabel]: 'true',
        'kubernetes.io/hostname': name,
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/os': 'linux',
        'topology.kubernetes.io/zone': `zone-${index % template.zones}`,
      },
    },
    spec: { podCIDR, podCIDRs: [podCIDR], ...(template.taints.length > 0 ? { taints: template.taints } : {}) },
    status: hollowStatus(name, template, nowMs),
  };
}
