import os from 'node:os';
import type { Node, NodeStatus } from '@naru/api';
import { formatTime } from '@naru/foundation';
import type { cri } from '@naru/proto';
import { equalJson } from '../status/equal-json';
import type { Pressure } from '../eviction/thresholds';
import { declaredFeatures } from './declared-features';
import { nodeResources, type NodeResourcesInput } from './node-resources';

export type NodeCondition = NonNullable<NodeStatus['conditions']>[number];

export interface RuntimeReading {
  /** Undefined when the runtime answered; otherwise why not. */
  failure: string | undefined;
  /** It has not answered for too long, or not at all yet. */
  isDown: boolean;
  /** The node is going down: it is no place for pods any more. */
  shuttingDown?: boolean;
  /** As it said when it last answered. */
  conditions: readonly { type: string; status: boolean; reason: string; message: string }[];
  /** What it can do; undefined while it does not answer. */
  abilities?: Pick<cri.StatusResponse, 'runtimeHandlers' | 'features'>;
}

export interface NodeStatusInput extends NodeResourcesInput {
  nodeName: string;
  addresses: readonly string[];
  port: number;
  /** What the node suffers from. */
  pressures: readonly Pressure[];
  runtime: RuntimeReading;
  nodeInfo: Record<'machineID' | 'systemUUID' | 'bootID' | 'kernelVersion' | 'osImage', string>;
  runtimeVersion: string;
  kubeletVersion: string;
  /** Undefined while the runtime does not answer: what is known stays. */
  images: readonly cri.Image[] | undefined;
  /** Attachable volumes that pods here use, or are about to. */
  volumesInUse: string[];
  nowMs: number;
  /** How many images are reported, the largest first; -1 for all. */
  maxImages: number;
}

const maxNamesPerImage = 5;

/** What keeps the node from being Ready, in upstream's words; empty when nothing does. */
export function notReadyReasons(runtime: RuntimeReading): string[] {
  if (runtime.shuttingDown) return ['node is shutting down'];
  if (runtime.isDown) return [`container runtime is down: ${runtime.failure}`];
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

/** Reason and message of each pressure: while it is there, and while it is not. */
const pressureWords: Record<Pressure, { yes: [string, string]; no: [string, string] }> = {
  MemoryPressure: {
    yes: ['KubeletHasInsufficientMemory', 'kubelet has insufficient memory available'],
    no: ['KubeletHasSufficientMemory', 'kubelet has sufficient memory available'],
  },
  DiskPressure: {
    yes: ['KubeletHasDiskPressure', 'kubelet has disk pressure'],
    no: ['KubeletHasNoDiskPressure', 'kubelet has no disk pressure'],
  },
  PIDPressure: {
    yes: ['KubeletHasInsufficientPID', 'kubelet has insufficient PID available'],
    no: ['KubeletHasSufficientPID', 'kubelet has sufficient PID available'],
  },
};

export const pressureTypes = Object.keys(pressureWords) as Pressure[];

/** NodeHasDiskPressure, NodeHasSufficientMemory: the reason of the event when a pressure comes or goes. */
export function pressureEvent(type: Pressure, under: boolean): string {
  return pressureWords[type][under ? 'yes' : 'no'][0].replace('Kubelet', 'Node');
}

function conditions(input: NodeStatusInput): NodeCondition[] {
  const pressures = pressureTypes.map(type => {
    const under = input.pressures.includes(type);
    return condition(input, type, under, ...pressureWords[type][under ? 'yes' : 'no']);
  });
  const problems = notReadyReasons(input.runtime);
  const own = [
    ...pressures,
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

function images({ images: found, maxImages, old }: NodeStatusInput): NonNullable<NodeStatus['images']> {
  if (!found) return old.images ?? [];
  return [...found]
    .sort((a, b) => Number(b.size - a.size) || (a.id < b.id ? -1 : 1))
    .slice(0, maxImages < 0 ? undefined : maxImages)
    .map(({ repoDigests, repoTags, size }) => ({
      names: [...repoDigests, ...repoTags].slice(0, maxNamesPerImage),
      sizeBytes: Number(size),
    }))
    .filter(({ names }) => names.length > 0);
}

/** What the runtime can do. What it could is kept while it does not answer. Source: pkg/kubelet/nodestatus/setters.go. */
function abilities({ runtime }: NodeStatusInput): Pick<NodeStatus, 'runtimeHandlers' | 'features'> {
  if (!runtime.abilities) return {};
  const { runtimeHandlers, features } = runtime.abilities;
  return {
    runtimeHandlers: runtimeHandlers
      .map(({ name, features: can }) => ({
        name,
        features: {
          recursiveReadOnlyMounts: can?.recursiveReadOnlyMounts ?? false,
          userNamespaces: can?.userNamespaces ?? false,
        },
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    ...(features ? { features: { supplementalGroupsPolicy: features.supplementalGroupsPolicy } } : {}),
  };
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
    ...nodeResources(input),
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
    ...abilities(input),
    declaredFeatures: [...declaredFeatures],
    volumesInUse: input.volumesInUse,
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
