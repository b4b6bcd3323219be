import { credentials } from '@grpc/grpc-js';
import type { Logger } from '@naru/foundation';
import { dra } from '@naru/proto';
import type { PluginHandler } from '../csi/plugin-watcher';
import { unary } from '../cri/unary';

const version = 'v1.DRAPlugin';
/** Preparing may mean to reset hardware. Source: kubelet/cm/dra/plugin. */
const timeoutMs = 45_000;

/** The drivers of dynamic resource allocation that have registered on this node. */
export class DraDrivers implements PluginHandler {
  private readonly clients = new Map<string, dra.DRAPluginClient>();

  constructor(private readonly deps: { logger: Logger }) {}

  /** Throws for a driver that speaks no version of ours. */
  async register(name: string, endpoint: string, versions: readonly string[]): Promise<void> {
    if (!versions.includes(version))
      throw new Error(`none of the DRA gRPC API versions of the driver are supported: ${versions.join(', ')}`);
    const socket = endpoint.replace(/^unix:\/\//, '');
    const options = { 'grpc.use_local_subchannel_pool': 1 };
    this.clients.get(name)?.close();
    this.clients.set(name, new dra.DRAPluginClient(`unix://${socket}`, credentials.createInsecure(), options));
    this.deps.logger.info({ driver: name, endpoint }, 'DRA driver registered');
  }

  async deregister(name: string): Promise<void> {
    this.clients.get(name)?.close();
    this.clients.delete(name);
  }

  /** The devices that a claim has of the driver, ready for use. Throws what the driver says. */
  async prepare(driver: string, claim: dra.Claim): Promise<dra.Device[]> {
    const client = this.get(driver);
    const { claims } = await unary<unknown, dra.NodePrepareResourcesResponse>(
      ...([client, client.nodePrepareResources, { claims: [claim] }, timeoutMs] as const),
    );
    const prepared = claims[claim.uid];
    if (!prepared) throw new Error(`NodePrepareResources skipped claim ${claim.namespace}/${claim.name}`);
    if (prepared.error) throw new Error(`NodePrepareResources failed for claim ${claim.name}: ${prepared.error}`);
    return prepared.devices;
  }

  /** Throws what the driver says. */
  async unprepare(driver: string, claim: dra.Claim): Promise<void> {
    const client = this.get(driver);
    const { claims } = await unary<unknown, dra.NodeUnprepareResourcesResponse>(
      ...([client, client.nodeUnprepareResources, { claims: [claim] }, timeoutMs] as const),
    );
    const done = claims[claim.uid];
    if (!done) throw new Error(`NodeUnprepareResources skipped claim ${claim.namespace}/${claim.name}`);
    if (done.error) throw new Error(`NodeUnprepareResources failed for claim ${claim.name}: ${done.error}`);
  }

  close(): void {
    for (const client of this.clients.values()) client.close();
  }

  private get(name: string): dra.DRAPluginClient {
    const client = this.clients.get(name);
    if (!client) throw new Error(`DRA driver ${name} is not registered`);
    return client;
  }
}
