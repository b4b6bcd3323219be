import { status as code } from '@grpc/grpc-js';
import { persistentVolumeClaims, quantityValue, type PersistentVolumeClaim, type Stored } from '@naru/api';
import type { ObjectsClient } from '@naru/client';
import { formatTime, type Clock } from '@naru/foundation';
import type { csi } from '@naru/proto';
import type { PodEvents } from '../pods/pod-events';
import type { VolumeContext } from '../volumes/plugin';
import { CsiError, nodeCapabilities, type CsiDriver } from './csi-driver';

type Claim = Stored<PersistentVolumeClaim>;
type ClaimStatus = NonNullable<PersistentVolumeClaim['status']>;
type Condition = NonNullable<ClaimStatus['conditions']>[number];

export interface VolumeExpanderDeps {
  client: ObjectsClient;
  events: PodEvents;
  clock: Clock;
  nodeName: string;
}

/** A mounted volume, or one about to be, that may have become larger. */
export interface Expansion {
  context: VolumeContext;
  driver: CsiDriver;
  readOnly: boolean;
  request: Pick<csi.NodeExpandVolumeRequest, 'volumeId' | 'volumePath' | 'stagingTargetPath' | 'volumeCapability'>;
  secrets: () => Promise<Record<string, string>>;
}

const resizeConditions = new Set(['Resizing', 'FileSystemResizePending', 'ControllerResizeError', 'NodeResizeError']);
/** What cannot come true by trying again. */
const infeasible = new Set([code.INVALID_ARGUMENT, code.OUT_OF_RANGE, code.NOT_FOUND]);
/** After which the driver may still be at it. */
const uncertain = new Set([
  ...[code.CANCELLED, code.DEADLINE_EXCEEDED, code.UNAVAILABLE],
  ...[code.RESOURCE_EXHAUSTED, code.ABORTED],
]);

/** Grows file systems after their volumes, and tells the claims. Source: operationexecutor/node_expander.go. */
export class VolumeExpander {
  /** Sizes in bytes, where this node has seen more than the claim tells: another node may have told it. */
  private readonly sizes = new Map<string, number>();
  /** Not to be grown while they are in use, as their drivers said. */
  private readonly heldBack = new Set<string>();
  /** Failed for good at the size that was wanted then. */
  private readonly failed = new Set<string>();

  constructor(private readonly deps: VolumeExpanderDeps) {}

  /** Does nothing for a volume that is as large as it should be. Throws what the driver said, and CsiError for codes. */
  async expand(expansion: Expansion): Promise<void> {
    const { claim, persistentVolume } = expansion.context.claimed ?? {};
    const size = persistentVolume?.spec?.capacity?.['storage'];
    if (!claim || size === undefined) return;
    const { volumeId } = expansion.request;
    const had = quantityValue(claim.status?.capacity?.['storage'] ?? '0');
    const bytes = quantityValue(size);
    const known = this.sizes.get(volumeId) ?? had;
    this.sizes.set(volumeId, known);
    if (known >= bytes || this.heldBack.has(volumeId)) return;
    if (expansion.readOnly) return this.tell(expansion, 'FileSystemResizeFailed', ' requested read-only file system');
    const state = claim.status?.allocatedResourceStatuses?.['storage'];
    const isTold = had >= bytes && state === undefined;
    if (!isTold && !isDue(claim, state)) return;
    const current = isTold || state === undefined ? claim : await this.markInProgress(claim, state);
    if (!(await this.call(expansion, current, bytes))) return;
    this.sizes.set(volumeId, bytes);
    this.failed.delete(volumeId);
    this.tell(expansion, 'FileSystemResizeSuccessful', ` ${this.deps.nodeName}`);
    if (!isTold) await this.markFinished(current, size);
  }

  /** The volume is not mounted any more: what was known of it here does not count the next time. */
  forget(volumeId: string): void {
    this.sizes.delete(volumeId);
    this.heldBack.delete(volumeId);
    this.failed.delete(volumeId);
  }

  /** Answers false for a driver that will not do it while the volume is in use, which keeps nobody from using it. */
  private async call({ driver, request, secrets }: Expansion, claim: Claim, bytes: number): Promise<boolean> {
    const { volumeId } = request;
    if (!driver.can(nodeCapabilities.EXPAND_VOLUME)) {
      const what = `CSI plugin kubernetes.io/csi/${driver.name}`;
      throw new Error(`Expander.NodeExpand found ${what} to not support node expansion`);
    }
    try {
      const capacityRange = { requiredBytes: BigInt(bytes), limitBytes: 0n };
      await driver.expand({ ...request, capacityRange, secrets: await secrets() });
      return true;
    } catch (cause) {
      const message = `Expander.NodeExpand failed to expand the volume: ${(cause as Error).message}`;
      if (!(cause instanceof CsiError) || uncertain.has(cause.code)) throw new Error(message, { cause });
      // Whoever asks for another size now gets it by way of the controller.
      const wanted = quantityValue(claim.spec?.resources?.requests?.['storage'] ?? '0');
      const isHopeless = infeasible.has(cause.code) || (this.failed.has(volumeId) && wanted !== bytes);
      this.failed.add(volumeId);
      await this.markFailed(claim, message, isHopeless);
      if (cause.code !== code.FAILED_PRECONDITION) throw new Error(message, { cause });
      this.heldBack.add(volumeId);
      return false;
    }
  }

  private markInProgress(claim: Claim, state: string): Promise<Claim> | Claim {
    if (state === 'NodeResizeInProgress') return claim;
    return this.patch(claim, { allocatedResourceStatuses: { storage: 'NodeResizeInProgress' } });
  }

  private markFailed(claim: Claim, message: string, isHopeless: boolean): Promise<Claim> {
    const condition: Condition = {
      type: 'NodeResizeError',
      status: 'True',
      lastTransitionTime: formatTime(this.deps.clock.now()),
      message: `failed to expand pvc with ${message}`,
    };
    const others = claim.status?.conditions?.filter(({ type }) => type !== condition.type) ?? [];
    return this.patch(claim, {
      conditions: [...others, condition],
      ...(isHopeless ? { allocatedResourceStatuses: { storage: 'NodeResizeInfeasible' } } : {}),
    });
  }

  private markFinished(claim: Claim, size: string): Promise<Claim> {
    const { storage: _over, ...others } = claim.status?.allocatedResourceStatuses ?? {};
    return this.patch(claim, {
      capacity: { storage: size },
      conditions: claim.status?.conditions?.filter(({ type }) => !resizeConditions.has(type)) ?? [],
      allocatedResourceStatuses: Object.keys(others).length > 0 ? { storage: null } : null,
    });
  }

  private patch({ metadata }: Claim, status: Record<string, unknown>): Promise<Claim> {
    const { namespace, name, resourceVersion } = metadata;
    const body = { metadata: { resourceVersion }, status };
    const options = { subresource: 'status' };
    return this.deps.client.patch(persistentVolumeClaims, { namespace, name }, { type: 'merge', body }, options);
  }

  /** In the events of the pod and of its claim. */
  private tell({ context }: Expansion, reason: string, suffix: string): void {
    const { events } = this.deps;
    const succeeded = reason === 'FileSystemResizeSuccessful';
    const type = succeeded ? 'Normal' : 'Warning';
    const what = `MountVolume.NodeExpandVolume ${succeeded ? 'succeeded' : 'failed'}`;
    const message = `${what} for volume "${context.volume.name}"${suffix}`;
    events.pod(context.pod, type, reason, message);
    if (context.claimed) events.claim(context.claimed.claim, type, reason, message);
  }
}

/** The controller has done its part; one that says nothing of it is older than the field. */
function isDue(claim: Claim, state: string | undefined): boolean {
  if (state === undefined) return claim.status?.allocatedResources?.['storage'] === undefined;
  return state === 'NodeResizePending' || state === 'NodeResizeInProgress';
}
