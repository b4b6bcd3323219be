import { objectKey } from '@naru/client';
import type { Claim, Volume } from './pod-claims';

/** What is to be done for a pod's claims on the node that it gets. */
export interface VolumeDecision {
  bindings: { claim: Claim; volume: Volume }[];
  /** A volume is to be made on the node. */
  provisions: Claim[];
}

/** What pods on their way to a node hold already, though the api-server does not show it yet. */
export class AssumedVolumes {
  /** Volume name → pods that hold it for their claim. */
  private readonly taken = new Map<string, Set<string>>();
  /** Claim key → the node where its volume will be made, and for which pods. */
  private readonly placed = new Map<string, { nodeName: string; pods: Set<string> }>();

  /** The volumes that no other claim may have. */
  get volumes(): ReadonlySet<string> {
    return new Set(this.taken.keys());
  }

  /** Undefined: the claim is free to go to any node. */
  nodeOf(claim: Claim): string | undefined {
    return this.placed.get(objectKey(claim))?.nodeName;
  }

  add(podUid: string, nodeName: string, { bindings, provisions }: VolumeDecision): void {
    for (const { volume } of bindings) {
      const { name } = volume.metadata;
      this.taken.set(name, (this.taken.get(name) ?? new Set<string>()).add(podUid));
    }
    for (const claim of [...bindings.map(binding => binding.claim), ...provisions]) {
      const key = objectKey(claim);
      const place = this.placed.get(key) ?? { nodeName, pods: new Set<string>() };
      place.pods.add(podUid);
      this.placed.set(key, place);
    }
  }

  remove(podUid: string): void {
    for (const [name, pods] of this.taken) if (pods.delete(podUid) && pods.size === 0) this.taken.delete(name);
    for (const [key, { pods }] of this.placed) if (pods.delete(podUid) && pods.size === 0) this.placed.delete(key);
  }
}
