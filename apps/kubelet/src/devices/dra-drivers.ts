import { credentials, type ChannelCredentials } from '@grpc/grpc-js';
import type { Clock, Logger } from '@naru/foundation';
import { dra, drahealth } from '@naru/proto';
import type { PluginHandler } from '../csi/plugin-watcher';
import { unary } from '../cri/unary';
import type { DriverHealth } from './device-health';
import { HealthWatch } from './health-watch';

const version = 'v1.DRAPlugin';
/** Preparing may mean to reset hardware. Source: kubelet/cm/dra/plugin. */
const timeoutMs = 45_000;

interface Driver {
  client: dra.DRAPluginClient;
  watch: HealthWatch;
}

export interface DraDriversDeps {
  clock: Clock;
  logger: Logger;
  health: DriverHealth;
}

/** The drivers of dynamic resource allocation that have registered on this node. */
export class DraDrivers implements PluginHandler {
  private readonly drivers = new Map<string, Driver>();

  constructor(private readonly deps: DraDriversDeps) {}

  /** Throws for a driver that speaks no version of ours. */
  async register(name: string, endpoint: string, versions: readonly string[]): Promise<void> {
    if (!versions.includes(version))
      throw new Error(`none of the DRA gRPC API versions of the driver are supported: ${versions.join(', ')}`);
    const socket = endpoint.replace(/^unix:\/\//, '');
    const address = [`unix://${socket}`, credentials.createInsecure()] as const;
    await this.deregister(name);
    const client = new dra.DRAPluginClient(...address, { 'grpc.use_local_subchannel_pool': 1 });
    this.drivers.set(name, { client, watch: this.watchHealth(name, client, address) });
    this.deps.logger.info({ driver: name, endpoint }, 'DRA driver registered');
  }

  async deregister(name: string): Promise<void> {
    this.drop(name);
    this.deps.health.clear(name);
  }

  private watchHealth(
    driver: string,
    client: dra.DRAPluginClient,
    address: readonly [string, ChannelCredentials],
  ): HealthWatch {
    const { clock, logger, health } = this.deps;
    return new HealthWatch({
      ...{ driver, clock, logger },
      client: new drahealth.DRAResourceHealthClient(...address, { channelOverride: client.getChannel() }),
      onReport: devices => health.take(driver, devices),
      onLost: () => health.clear(driver),
    });
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
    for (const name of [...this.drivers.keys()]) this.drop(name);
  }

  private drop(name: string): void {
    const driver = this.drivers.get(name);
    this.drivers.delete(name);
    driver?.watch.close();
    driver?.client.close();
  }

  private get(name: string): dra.DRAPluginClient {
    const driver = this.drivers.get(name);
    if (!driver) throw new Error(`DRA driver ${name} is not registered`);
    return driver.client;
  }
}
