import {
  compileNodeSelectorTerm,
  isClaimReservedFor,
  type Node,
  type Pod,
  type ResourceClaim,
  type Stored,
} from '@naru/api';
import type { NodeInfo } from '../cache/node-info';
import type { PodInfo } from '../cache/pod-info';
import { allocate, type Allocated } from '../devices/allocate';
import { AssumedAllocations } from '../devices/assumed-allocations';
import { deallocateClaim, discardClaim, makeClaim, noteClaim, reserveClaim } from '../devices/claim-writer';
import type { AllocationResult } from '../devices/device-view';
import { ExtendedResources, leftoverClaim, type ExtendedClaim } from '../devices/extended-resources';
import { offersFor } from '../devices/offers';
import { deviceClaimsOf, usesDevices } from '../devices/pod-device-claims';
import { stateKey } from '../framework/cycle-state';
import { skip, unresolvable, unschedulable, type Status } from '../framework/status';
import type { Handle, Plugin, PluginFactory } from '../framework/types';

/** What a pod would get on a node. */
interface Placement {
  /** For the claims that have no devices, and for the one that is to be made. */
  allocated: Allocated[];
  extended: ExtendedClaim | undefined;
}

interface Found {
  claims: Stored<ResourceClaim>[];
  extended: ExtendedResources | undefined;
  leftover: Stored<ResourceClaim> | undefined;
  /** By the name of the node. */
  placements: Map<string, Placement>;
  isTaken: (id: string) => boolean;
  /** For the pod's extended resources, on the way to its node. */
  made?: Stored<ResourceClaim>;
}

const foundKey = stateKey<Found>('DynamicResources/found');
const elsewhere = unresolvable('resourceclaim not available on the node');
const nothingLeft = unschedulable('cannot allocate all claims');
const isLeftOver = unschedulable('cannot schedule extended resource claim');

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

  /** Undefined: the pod has no need of devices. */
  find(pod: PodInfo): Found | string | undefined {
    const { devices } = this.handle;
    const extended = ExtendedResources.of(pod, devices.classes);
    if (!extended && !usesDevices(pod.pod)) return undefined;
    const claims = deviceClaimsOf(pod.pod, devices);
    if (typeof claims === 'string') return claims;
    return {
      claims: claims.map(claim => this.assumed.latest(claim)),
      extended,
      leftover: extended && leftoverClaim(pod, devices),
      placements: new Map(),
      isTaken: this.assumed.taken(),
    };
  }

  /** Finds devices on the node for what is not allocated yet, or says why there are none. */
  fit({ claims, extended: wanted, leftover, placements, isTaken }: Found, info: NodeInfo): Status | undefined {
    const { node, name } = info;
    if (!node) return undefined;
    if (leftover) return isLeftOver;
    if (claims.some(claim => !isOpen(claim) && !isAvailable(claim, node))) return elsewhere;
    const extended = wanted?.on(info);
    const open = [...claims.filter(isOpen), ...(extended ? [extended.claim] : [])];
    if (open.length === 0) return undefined;
    const { classes } = this.handle.devices;
    try {
      const allocated = allocate(open, node, offersFor(node, this.handle.devices), { classes, isTaken });
      if (!allocated) return nothingLeft;
      placements.set(name, { allocated, extended });
      return undefined;
    } catch (error) {
      return unresolvable((error as Error).message);
    }
  }

  reserve(podUid: string, allocated: readonly Allocated[]): void {
    for (const { claim, allocation } of allocated) this.assumed.add(podUid, claim, allocation);
  }

  release(podUid: string): void {
    this.assumed.remove(podUid);
  }

  /** Writes down what the pod gets. Answers the name of a claim that is not any more what it was. */
  async write(found: Found, pod: Stored<Pod>, placement: Placement | undefined): Promise<string | undefined> {
    const allocationOf = (wanted: Stored<ResourceClaim>) =>
      placement?.allocated.find(({ claim }) => claim === wanted)?.allocation;
    for (const claim of found.claims)
      if (!(await this.writeOne(claim, pod, allocationOf(claim)))) return claim.metadata.name;
    if (!placement?.extended) return undefined;
    const { claim: planned, mappings } = placement.extended;
    const { client, devices } = this.handle;
    const made = await makeClaim(client, planned);
    found.made = made;
    devices.observe(made);
    this.assumed.made(planned, made);
    if (!(await this.writeOne(made, pod, allocationOf(planned)))) return made.metadata.name;
    await noteClaim(client, pod, made, mappings);
    return undefined;
  }

  private async writeOne(
    claim: Stored<ResourceClaim>,
    pod: Stored<Pod>,
    allocation: AllocationResult | undefined,
  ): Promise<boolean> {
    const written = await reserveClaim(this.handle.client, claim, pod, allocation);
    if (written) this.assumed.written(written);
    return written !== undefined;
  }
}

/** A claim that holds a pod to nodes where it cannot run, though nobody uses its devices. */
function isInTheWay(claim: Stored<ResourceClaim>, pod: Stored<Pod>): boolean {
  const users = claim.status?.reservedFor?.length ?? 0;
  return !isOpen(claim) && (users === 0 || (users === 1 && isClaimReservedFor(claim, pod)));
}

function build(handle: Handle): Plugin {
  const allocator = new DeviceAllocator(handle);
  return {
    preFilter(state, pod) {
      const found = allocator.find(pod);
      if (!found) return skip;
      if (typeof found === 'string') return unresolvable(found);
      state.write(foundKey, found);
      return undefined;
    },
    filter(state, _pod, node) {
      const found = state.read(foundKey);
      return found && allocator.fit(found, node);
    },
    postFilter(state, { pod }) {
      const found = state.read(foundKey);
      if (found?.leftover)
        return discardClaim(handle.client, found.leftover, pod).then(() => ({
          message: 'deletion of ResourceClaim completed',
        }));
      const claim = found?.claims.find(each => isInTheWay(each, pod));
      if (!claim) return {};
      return deallocateClaim(handle.client, claim).then(() => ({ message: 'deallocation of ResourceClaim completed' }));
    },
    reserve(state, pod, nodeName) {
      const found = state.read(foundKey);
      const node = handle.cache.getNode(nodeName);
      if (!found || !node) return undefined;
      // A node that was nominated has not been filtered in this cycle.
      const refused = found.placements.has(nodeName) ? undefined : allocator.fit(found, node);
      if (!refused) allocator.reserve(pod.uid, found.placements.get(nodeName)?.allocated ?? []);
      return refused;
    },
    unreserve(state, { uid, pod }) {
      allocator.release(uid);
      const made = state.read(foundKey)?.made;
      // What is left all the same is found at the next attempt.
      if (made) discardClaim(handle.client, made, pod).catch(() => undefined);
    },
    async preBind(state, { pod }, nodeName) {
      const found = state.read(foundKey);
      const changed = found && (await allocator.write(found, pod, found.placements.get(nodeName)));
      return changed === undefined ? undefined : unschedulable(`resourceclaim "${changed}" has changed`);
    },
  };
}

/**
 * Finds devices for the ResourceClaims of a pod and for its extended resources that no device plugin of a node counts, and writes down
 * which it gets before it is bound.
 */
export const dynamicResources: PluginFactory = {
  name: 'DynamicResources',
  requeueOn: [
    ...(['ResourceClaimChange', 'DeviceClassChange', 'ResourceSliceChange'] as const),
    ...(['NodeAdd', 'NodeAllocatable', 'NodeLabels', 'PodUpdate'] as const),
  ],
  build,
};
