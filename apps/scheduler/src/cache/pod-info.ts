import {
  hostPortsOf,
  podRequests,
  podRequestsNonZero,
  withResourcesInUse,
  type HostPort,
  type Pod,
  type Stored,
} from '@naru/api';
import { compilePodAffinity, type PodAffinity } from './pod-affinity';

/** Amounts that every node and pod have, and the rest by name. cpu in millicores, the others in whole units. */
export interface Resources {
  cpu: number;
  memory: number;
  ephemeralStorage: number;
  scalars: Map<string, number> | undefined;
}

/** A pod with what the plugins ask of it again and again, worked out once. */
export interface PodInfo {
  /** As it was last heard of. */
  pod: Stored<Pod>;
  /** Milliseconds since the epoch; as long as nothing has started, when it was created. */
  startedAt: number;
  readonly uid: string;
  readonly key: string;
  readonly requests: Resources;
  /** With upstream's stand-ins for containers that ask for nothing; used for scoring only. */
  readonly nonZeroCpu: number;
  readonly nonZeroMemory: number;
  readonly hostPorts: readonly HostPort[];
  readonly affinity: PodAffinity | undefined;
}

const builtIn = ['cpu', 'memory', 'ephemeral-storage', 'pods'];

export function toResources(amounts: Map<string, number>): Resources {
  const scalars = [...amounts].filter(([name]) => !builtIn.includes(name));
  return {
    cpu: amounts.get('cpu') ?? 0,
    memory: amounts.get('memory') ?? 0,
    ephemeralStorage: amounts.get('ephemeral-storage') ?? 0,
    scalars: scalars.length > 0 ? new Map(scalars) : undefined,
  };
}

/** Throws for quantities that are none; admitted pods have none of these. */
export function createPodInfo(pod: Stored<Pod>): PodInfo {
  const counted = withResourcesInUse(pod);
  const nonZero = podRequestsNonZero(counted);
  return {
    pod,
    startedAt: startOf(pod),
    uid: pod.metadata.uid,
    key: `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`,
    requests: toResources(podRequests(counted)),
    nonZeroCpu: nonZero.get('cpu') ?? 0,
    nonZeroMemory: nonZero.get('memory') ?? 0,
    hostPorts: hostPortsOf(pod),
    affinity: compilePodAffinity(pod),
  };
}

export function startOf({ status, metadata }: Stored<Pod>): number {
  return Date.parse(status?.startTime ?? metadata.creationTimestamp ?? '') || 0;
}

export function isBestEffort({ cpu, memory }: Resources): boolean {
  return cpu === 0 && memory === 0;
}
