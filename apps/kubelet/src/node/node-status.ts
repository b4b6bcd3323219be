import os from 'node:os';
import type { Node, NodeStatus } from '@naru/api';
import { formatTime } from '@naru/foundation';
import type { cri } from '@naru/proto';
import { equalJson } from '../status/equal-json';
import { isUnderPressure, thresholdAmount, type MachineReading, type Reserved, type Thresholds } from './machine';

export type NodeCondition = NonNullable<NodeStatus['conditions']>[number];

export interface RuntimeReading {
  /** Undefined when the runtime answered; otherwise why not. */
  failure: string | undefined;
  conditions: readonly { type: string; status: boolean; reason: string; message: string }[];
}

export interface NodeStatusInput {
  old: NodeStatus;
  nodeName: string;
  addresses: readonly string[];
  port: number;
  machine: MachineReading;
  thresholds: Thresholds;
  reserved: Reserved;
  maxPods: number;
  runtime: RuntimeReading;
  nodeInfo: Record<'machineID' | 'systemUUID' | 'bootID' | 'kernelVersion' | 'osImage', string>;
  runtimeVersion: string;
  kubeletVersion: string;
  images: readonly cri.Image[];
  nowMs: number;
}

/** Upstream reports the fifty largest. */
const maxImages = 50;
const maxNamesPerImage = 5;

/** What keeps the node from being Ready, in upstream's words; empty when nothing does. */
export function notReadyReasons(runtime: RuntimeReading): string[] {
  if (runtime.failure !== undefined) return [`container runtime is down: ${runtime.failure}`];
  const reasons: string[] = [];
  for (const [type, what] of [
    ['RuntimeReady', 'container runtime not ready'],
    ['NetworkReady', 'container runtime network not ready'],
  ] as const) {
    const condition = runtime.conditions.find(each => each.type === type);
    if (condition?.status) continue;
    const { reason = '', message = '' } = condition ?? {};
    reasons.push(`${what}: ${type}=false reason:${reason} message:${message}`);
  }
  return reasons;
}

function condition(
  input: NodeStatusInput,
  type: string,
  status: boolean,
  reason: string,
  message: string,
): NodeCondition {
  const before = input.old.conditions?.find(each => each.type === type);
  const value = status ? 'True' : 'False';
  const now = formatTime(input.nowMs);
  return {
    type,
    status: value,
    lastHeartbeatTime: now,
    lastTransitionTime: before?.status === value ? (before.lastTransitionTime ?? now) : now,
    reason,
    message,
  };
}

function conditions(input: NodeStatusInput): NodeCondition[] {
  const { machine, thresholds } = input;
  const pressure = (
    type: string,
    signals: Parameters<typeof isUnderPressure>[2][],
    what: [string, string],
  ): NodeCondition => {
    const under = signals.some(signal => isUnderPressure(machine, thresholds, signal));
    const [has, hasNo] = what;
    const title = type.replace('Pressure', '');
    const words = { Memory: 'memory', Disk: 'disk', PID: 'PID' }[title] ?? title;
    return condition(
      input,
      type,
      under,
      under ? has : hasNo,
      under
        ? `kubelet has ${type === 'PIDPressure' ? 'insufficient PID available' : `insufficient ${words} available`}`
        : `kubelet has ${enough[type] ?? ''}`,
    );
  };
  const problems = notReadyReasons(input.runtime);
  const own = [
    pressure('MemoryPressure', ['memory.available'], ['KubeletHasInsufficientMemory', 'KubeletHasSufficientMemory']),
    pressure(
      'DiskPressure',
      ['nodefs.available', 'nodefs.inodesFree'],
      ['KubeletHasDiskPressure', 'KubeletHasNoDiskPressure'],
    ),
    pressure('PIDPressure', ['pid.available'], ['KubeletHasInsufficientPID', 'KubeletHasSufficientPID']),
    problems.length === 0
      ? condition(input, 'Ready', true, 'KubeletReady', 'kubelet is posting ready status')
      : condition(
          input,
          'Ready',
          false,
          'KubeletNotReady',
          problems.length === 1 ? (problems[0] as string) : `[${problems.join(', ')}]`,
        ),
  ];
  const types = new Set(own.map(({ type }) => type));
  return [...(input.old.conditions ?? []).filter(({ type }) => !types.has(type)), ...own];
}

const enough: Record<string, string> = {
  MemoryPressure: 'sufficient memory available',
  DiskPressure: 'no disk pressure',
  PIDPressure: 'sufficient PID available',
};

const kibi = (bytes: number): string => `${Math.floor(bytes / 1024)}Ki`;

function resources(input: NodeStatusInput): Pick<NodeStatus, 'capacity' | 'allocatable'> {
  const { machine, thresholds, reserved, maxPods } = input;
  const millis = machine.cores * 1000 - reserved.cpu;
  const memory = machine.memoryBytes - reserved.memory - thresholdAmount(machine, thresholds, 'memory.available');
  const disk = machine.diskBytes - thresholdAmount(machine, thresholds, 'nodefs.available');
  return {
    capacity: {
      cpu: String(machine.cores),
      memory: kibi(machine.memoryBytes),
      'ephemeral-storage': kibi(machine.diskBytes),
      pods: String(maxPods),
    },
    allocatable: {
      cpu: millis % 1000 === 0 ? String(millis / 1000) : `${millis}m`,
      memory: kibi(Math.max(0, memory)),
      'ephemeral-storage': String(Math.floor(Math.max(0, disk))),
      pods: String(maxPods),
    },
  };
}

function images(input: NodeStatusInput): NonNullable<NodeStatus['images']> {
  return [...input.images]
    .sort((a, b) => Number(b.size - a.size) || (a.id < b.id ? -1 : 1))
    .slice(0, maxImages)
    .map(({ repoDigests, repoTags, size }) => ({
      names: [...repoDigests, ...repoTags].slice(0, maxNamesPerImage),
      sizeBytes: Number(size),
    }))
    .filter(({ names }) => names.length > 0);
}

const architectures: Record<string, string> = { x64: 'amd64', ia32: '386' };

export function nodeArchitecture(): string {
  return architectures[os.arch()] ?? os.arch();
}

/** The status of this node, computed anew; what belongs to others (volumesAttached) stays. */
export function nodeStatus(input: NodeStatusInput): NodeStatus {
  const { old, addresses, nodeName, nodeInfo } = input;
  return {
    ...old,
    ...resources(input),
    conditions: conditions(input),
    addresses: [
      ...addresses.map(address => ({ type: 'InternalIP', address })),
      { type: 'Hostname', address: nodeName },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: input.port } },
    nodeInfo: {
      ...nodeInfo,
      architecture: nodeArchitecture(),
      operatingSystem: 'linux',
      containerRuntimeVersion: input.runtimeVersion,
      kubeletVersion: input.kubeletVersion,
      kubeProxyVersion: '',
    },
    images: images(input),
  };
}

/** Equal but for the times of heartbeats: nothing worth a write. */
export function sameNodeStatus(a: NodeStatus, b: NodeStatus): boolean {
  const plain = (status: NodeStatus): NodeStatus =>
    JSON.parse(JSON.stringify(status, (key, value: unknown) => (key === 'lastHeartbeatTime' ? undefined : value)));
  return equalJson(plain(a), plain(b));
}

export interface NodeTemplate {
  nodeName: string;
  labels: Record<string, string>;
  taints: NonNullable<NonNullable<Node['spec']>['taints']>;
}

/** The Node object of a machine that registers itself. */
export function newNode(template: NodeTemplate, status: NodeStatus): Node {
  const { nodeName, labels, taints } = template;
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name: nodeName,
      labels: ownLabels(nodeName, labels),
      annotations: { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' },
    },
    spec: taints.length > 0 ? { taints } : {},
    status,
  };
}

export function ownLabels(nodeName: string, labels: Record<string, string>): Record<string, string> {
  return {
    'kubernetes.io/arch': nodeArchitecture(),
    'kubernetes.io/hostname': nodeName,
    'kubernetes.io/os': 'linux',
    'beta.kubernetes.io/arch': nodeArchitecture(),
    'beta.kubernetes.io/os': 'linux',
    ...labels,
  };
}
