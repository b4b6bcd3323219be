import { credentials, status, type ServiceError } from '@grpc/grpc-js';
import { csi } from '@naru/proto';
import { unary } from '../cri/unary';

export const nodeCapabilities = csi.NodeServiceCapability_RPC_Type;
export type NodeCapability = csi.NodeServiceCapability_RPC_Type;

const timeoutMs = 120_000;

/** `NOT_FOUND` as `NotFound`: how Go, and so every CSI message that people search for, spells a code. */
function codeName(code: number): string {
  const name = status[code] ?? 'UNKNOWN';
  if (name === 'OK') return name;
  return name
    .toLowerCase()
    .split('_')
    .map(part => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
}

/** What a driver answered with. */
export class CsiError extends Error {
  readonly code: status;

  constructor(cause: ServiceError) {
    super(`rpc error: code = ${codeName(cause.code)} desc = ${cause.details || cause.message}`, { cause });
    this.name = 'CsiError';
    this.code = cause.code;
  }
}

/** The node service of one CSI driver on this node. Every failure of a call is a CsiError. */
export class CsiDriver {
  private readonly client: csi.NodeClient;
  private capabilities: ReadonlySet<NodeCapability> = new Set();

  /** `endpoint` is the path of the driver's socket. */
  constructor(
    readonly name: string,
    readonly endpoint: string,
  ) {
    this.client = new csi.NodeClient(`unix://${endpoint}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1_000,
    });
  }

  can(capability: NodeCapability): boolean {
    return this.capabilities.has(capability);
  }

  /** Asks what the driver is able to do, and what it calls this node. */
  async introduce(): Promise<csi.NodeGetInfoResponse> {
    const answer = await this.call<unknown, csi.NodeGetCapabilitiesResponse>(this.client.nodeGetCapabilities, {});
    this.capabilities = new Set(
      answer.capabilities.flatMap(({ type }) => (type?.$case === 'rpc' ? [type.value.type] : [])),
    );
    return this.call(this.client.nodeGetInfo, {});
  }

  async stage(request: csi.NodeStageVolumeRequest): Promise<void> {
    await this.call(this.client.nodeStageVolume, request);
  }

  async unstage(request: csi.NodeUnstageVolumeRequest): Promise<void> {
    await this.call(this.client.nodeUnstageVolume, request);
  }

  async publish(request: csi.NodePublishVolumeRequest): Promise<void> {
    await this.call(this.client.nodePublishVolume, request);
  }

  async unpublish(request: csi.NodeUnpublishVolumeRequest): Promise<void> {
    await this.call(this.client.nodeUnpublishVolume, request);
  }

  stats(request: Partial<csi.NodeGetVolumeStatsRequest>): Promise<csi.NodeGetVolumeStatsResponse> {
    return this.call(this.client.nodeGetVolumeStats, csi.NodeGetVolumeStatsRequest.fromPartial(request));
  }

  expand(request: Partial<csi.NodeExpandVolumeRequest>): Promise<csi.NodeExpandVolumeResponse> {
    return this.call(this.client.nodeExpandVolume, csi.NodeExpandVolumeRequest.fromPartial(request));
  }

  close(): void {
    this.client.close();
  }

  private async call<Q, A>(call: unknown, request: Q): Promise<A> {
    try {
      return await unary<Q, A>(this.client, call, request, timeoutMs);
    } catch (error) {
      throw new CsiError(error as ServiceError);
    }
  }
}
