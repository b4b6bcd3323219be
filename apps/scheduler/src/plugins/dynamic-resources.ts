import { compileNodeSelectorTerm, isClaimReservedFor, type Node, type ResourceClaim, type Stored } from '@naru/api';
import { allocate } from '../devices/allocate';
import { AssumedAllocations } from '../devices/assumed-allocations';
import { deallocateClaim, reserveClaim } from '../devices/claim-writer';
import type { AllocationResult } from '../devices/device-view';
import { offersFor } from '../devices/offers';
import { deviceClaimsOf, usesDevices } from '../devices/pod-device-claims';
import { stateKey } from '../framework/cycle-state';
import { skip, unresolvable, unschedulable, type Status } from '../framework/status';
import type { Handle, Plugin, PluginFactory } from '../framework/types';

interface Found {
  claims: Stored<ResourceClaim>[];
  /** Node name → devices for the claims that have none. */
  allocations: Map<string, AllocationResult[]>;
  isTaken: (id: string) => boolean;
}

const foundKey = stateKey<Found>('DynamicResources/found');

const elsewhere = unresolvable('resourceclaim not available on the node');
const nothingLeft = unschedulable('cannot allocate all claims');

const isOpen = ({ status }: ResourceClaim): boolean => status?.allocation === undefined;

function isAvailable({ status }: ResourceClaim, node: Node): boolean {
  const place = status?.allocation?.nodeSelector;
  return !place || place.nodeSelectorTerms.some(term => compileNodeSelectorTerm(term)(node));
}

class DeviceAllocator {
  private readonly assumed: AssumedAllocations;

  constructor(private readonly handle: Handle) {
    this.assumed = new AssumedAllocations(handle.devices);
  }

  find(pod: Parameters<typeof deviceClaimsOf>[0]): Found | string {
    const claims = deviceClaimsOf(pod, this.handle.devices);
    if (typeof claims === 'string') return claims;
    return {
      claims: claims.map(claim => this.assumed.latest(claim)),
      allocations: new Map(),
      isTaken: this.assumed.taken(),
    };
  }

  /** Finds devices on the node for what is not allocated yet, or says why there are none. */
  fit({ claims, allocations, isTaken }: Found, node: Node): Status | undefined {
    if (claims.some(claim => !isOpen(claim) && !isAvailable(claim, node))) return elsewhere;
    const open = claims.filter(isOpen);
    if (open.length === 0) return undefined;
    const { classes } = this.handle.devices;
    try {
      const results = allocate(open, node, offersFor(node, this.handle.devices), { classes, isTaken });
      if (!results) return nothingLeft;
      allocations.set(node.metadata?.name ?? '', results);
      return undefined;
    } catch (error) {
      return unresolvable((error as Error).message);
    }
  }

  reserve(podUid: string, { claims }: Found, results: readonly AllocationResult[]): void {
    for (const [i, claim] of claims.filter(isOpen).entries()) {
      const result = results[i];
      if (result) this.assumed.add(podUid, claim, result);
    }
  }

  written(claim: Stored<ResourceClaim>): void {
    this.assumed.written(claim);
  }

  release(podUid: string): void {
    this.assumed.remove(podUid);
  }
}

/** A claim that holds a pod to nodes where it cannot run, though nobody uses its devices. */
function isInTheWay(claim: Stored<ResourceClaim>, pod: Parameters<typeof isClaimReservedFor>[1]): boolean {
  const users = claim.status?.reservedFor?.length ?? 0;
  return !isOpen(claim) && (users === 0 || (users === 1 && isClaimReservedFor(claim, pod)));
}

function build(handle: Handle): Plugin {
  const allocator = new DeviceAllocator(handle);
  return {
    preFilter(state, { pod }) {
      if (!usesDevices(pod)) return skip;
      const found = allocator.find(pod);
      if (typeof found === 'string') return unresolvable(found);
      state.write(foundKey, found);
      return undefined;
    },
    filter(state, _pod, { node }) {
      const found = state.read(foundKey);
      return found && node && allocator.fit(found, node);
    },
    postFilter(state, { pod }) {
      const claim = state.read(foundKey)?.claims.find(each => isInTheWay(each, pod));
      if (!claim) return {};
      return deallocateClaim(handle.client, claim).then(() => ({ message: 'deallocation of ResourceClaim completed' }));
    },
    reserve(state, pod, nodeName) {
      const found = state.read(foundKey);
      const node = handle.cache.getNode(nodeName)?.node;
      if (!found || !node) return undefined;
      // A node that was nominated has not been filtered in this cycle.
      const refused = found.allocations.has(nodeName) ? undefined : allocator.fit(found, node);
      if (!refused) allocator.reserve(pod.uid, found, found.allocations.get(nodeName) ?? []);
      return refused;
    },
    unreserve: (_state, pod) => allocator.release(pod.uid),
    async preBind(state, { pod }, nodeName) {
      const found = state.read(foundKey);
      const results = [...(found?.allocations.get(nodeName) ?? [])];
      for (const claim of found?.claims ?? []) {
        const written = await reserveClaim(handle.client, claim, pod, isOpen(claim) ? results.shift() : undefined);
        if (!written) return unschedulable(`resourceclaim "${claim.metadata.name}" has changed`);
        allocator.written(written);
      }
      return undefined;
    },
  };
}

/** Finds devices for the ResourceClaims of a pod, and writes down which it gets before it is bound. */
export const dynamicResources: PluginFactory = {
  name: 'DynamicResources',
  requeueOn: [
    ...(['ResourceClaimChange', 'DeviceClassChange', 'ResourceSliceChange'] as const),
    ...(['NodeAdd', 'NodeLabels', 'PodUpdate'] as const),
  ],
  build,
};
