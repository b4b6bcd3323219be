import type { ResourceClaim, Stored } from '@naru/api';
import { devicesOf, type AllocationResult, type DeviceView } from './device-view';

interface Assumed {
  claim: Stored<ResourceClaim>;
  allocation: AllocationResult;
  pods: Set<string>;
  /** The resourceVersion with which the api-server has taken the allocation. */
  writtenAt?: bigint;
}

/** Devices that pods on their way to a node have been given, though the api-server does not show it yet. */
export class AssumedAllocations {
  /** By the uid of the claim. */
  private readonly byClaim = new Map<string, Assumed>();

  constructor(private readonly view: Pick<DeviceView, 'claims' | 'allocated'>) {}

  /** The claim as it will be. */
  latest(claim: Stored<ResourceClaim>): Stored<ResourceClaim> {
    const assumed = this.current(claim.metadata.uid);
    return assumed ? { ...claim, status: { ...claim.status, allocation: assumed.allocation } } : claim;
  }

  /** Tells of each device whether a claim has it, or is about to. */
  taken(): (id: string) => boolean {
    const soon = new Set<string>();
    for (const uid of [...this.byClaim.keys()]) {
      const assumed = this.current(uid);
      if (assumed) for (const id of devicesOf(assumed.allocation)) soon.add(id);
    }
    return id => soon.has(id) || this.view.allocated.has(id);
  }

  add(podUid: string, claim: Stored<ResourceClaim>, allocation: AllocationResult): void {
    const assumed = this.byClaim.get(claim.metadata.uid) ?? { claim, allocation, pods: new Set<string>() };
    assumed.pods.add(podUid);
    this.byClaim.set(claim.metadata.uid, assumed);
  }

  /** The api-server has taken it. From now on it counts whatever becomes of the pod, until our copy of the claim is as new. */
  written({ metadata: { uid, resourceVersion } }: Stored<ResourceClaim>): void {
    const assumed = this.byClaim.get(uid);
    if (assumed) assumed.writtenAt = BigInt(resourceVersion);
  }

  /** What was a plan is a claim now; the api-server has yet to take its allocation. */
  made({ metadata: { uid } }: Stored<ResourceClaim>, claim: Stored<ResourceClaim>): void {
    const planned = this.byClaim.get(uid);
    if (!planned) return;
    this.byClaim.delete(uid);
    this.byClaim.set(claim.metadata.uid, { ...planned, claim });
  }

  /** The pod does not go where it was to. */
  remove(podUid: string): void {
    for (const [uid, { pods, writtenAt }] of this.byClaim)
      if (pods.delete(podUid) && pods.size === 0 && writtenAt === undefined) this.byClaim.delete(uid);
  }

  /** What is shown by now need not be assumed any more, nor what belongs to a claim that is gone. */
  private current(uid: string): Assumed | undefined {
    const assumed = this.byClaim.get(uid);
    if (!assumed || isPlanned(assumed.claim)) return assumed;
    const shown = this.view.claims.get(assumed.claim.metadata);
    if (shown?.metadata.uid === uid && isBehind(shown, assumed)) return assumed;
    this.byClaim.delete(uid);
    return undefined;
  }
}

/** There is no such claim yet: it goes with its pod only. */
const isPlanned = ({ metadata }: Stored<ResourceClaim>): boolean => metadata.resourceVersion === '';

function isBehind({ metadata, status }: Stored<ResourceClaim>, { writtenAt }: Assumed): boolean {
  return writtenAt === undefined ? !status?.allocation : BigInt(metadata.resourceVersion) < writtenAt;
}
