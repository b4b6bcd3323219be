import { credentials, type ServiceError } from '@grpc/grpc-js';
import type { Logger } from '@naru/foundation';
import { deviceplugin } from '@naru/proto';
import { unary } from '../cri/unary';

export interface DevicePluginDeps {
  socket: string;
  resource: string;
  options: deviceplugin.DevicePluginOptions | undefined;
  logger: Logger;
  /** Its devices have changed, or it has gone. */
  onChange: () => void;
}

const timeoutMs = 10_000;

/** One plugin that has registered: what devices it has, and what containers get with them. */
export class DevicePlugin {
  /** ID → whether it works. */
  readonly devices = new Map<string, boolean>();
  /** ID → the NUMA nodes that it is near to; none when it does not matter. */
  readonly nodes = new Map<string, number[]>();
  private readonly client: deviceplugin.DevicePluginClient;
  private alive = true;

  constructor(private readonly deps: DevicePluginDeps) {
    this.client = new deviceplugin.DevicePluginClient(`unix://${deps.socket}`, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
    });
    const stream = this.client.listAndWatch({});
    stream.on('data', ({ devices }: deviceplugin.ListAndWatchResponse) => this.take(devices));
    stream.on('error', (err: ServiceError) => this.lost(err));
    stream.on('end', () => this.lost(undefined));
  }

  get isAlive(): boolean {
    return this.alive;
  }

  private take(devices: readonly deviceplugin.Device[]): void {
    this.devices.clear();
    this.nodes.clear();
    for (const { ID, health, topology } of devices) {
      this.devices.set(ID, health === 'Healthy');
      this.nodes.set(ID, topology?.nodes.map(node => Number(node.ID)) ?? []);
    }
    this.deps.onChange();
  }

  /** The devices stay, but nobody can have them until the plugin registers again. */
  private lost(err: ServiceError | undefined): void {
    if (!this.alive) return;
    this.alive = false;
    this.client.close();
    this.deps.logger.info({ err, resource: this.deps.resource }, 'device plugin has gone');
    this.deps.onChange();
  }

  close(): void {
    this.alive = false;
    this.client.close();
  }

  /** Which of the free ones it would rather give away. */
  async prefer(available: string[], size: number): Promise<string[]> {
    if (!this.deps.options?.getPreferredAllocationAvailable) return available.slice(0, size);
    const request = {
      containerRequests: [{ availableDeviceIDs: available, mustIncludeDeviceIDs: [], allocationSize: size }],
    };
    const { client } = this;
    const { containerResponses } = await unary<unknown, deviceplugin.PreferredAllocationResponse>(
      ...([client, client.getPreferredAllocation, request, timeoutMs] as const),
    );
    const preferred = (containerResponses[0]?.deviceIDs ?? []).filter(id => available.includes(id));
    return [...new Set([...preferred, ...available])].slice(0, size);
  }

  async allocate(devicesIds: string[]): Promise<deviceplugin.ContainerAllocateResponse> {
    const { client } = this;
    const { containerResponses } = await unary<unknown, deviceplugin.AllocateResponse>(
      ...([client, client.allocate, { containerRequests: [{ devicesIds }] }, timeoutMs] as const),
    );
    return containerResponses[0] ?? deviceplugin.ContainerAllocateResponse.fromPartial({});
  }

  async preStart(devicesIds: string[]): Promise<void> {
    if (!this.deps.options?.preStartRequired) return;
    const { client } = this;
    await unary(client, client.preStartContainer, { devicesIds }, timeoutMs);
  }
}
