import fs from 'node:fs';
import path from 'node:path';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import { isServedByClaim, quantityValue, type Container, type Pod } from '@naru/api';
import type { Logger } from '@naru/foundation';
import { deviceplugin } from '@naru/proto';
import { hintsFor, type Hint, type HintProvider } from '../topology/hints';
import type { DeviceHealth } from './device-health';
import { DevicePlugin } from './device-plugin';

/** What a container was given: it keeps it over restarts, its own and the kubelet's. */
interface Allocation {
  pod: string;
  container: string;
  resource: string;
  devices: string[];
  response: unknown;
}

/** What a container gets along with its devices. */
export interface DeviceGrant {
  envs: Record<string, string>;
  mounts: deviceplugin.Mount[];
  devices: deviceplugin.DeviceSpec[];
  annotations: Record<string, string>;
  cdiDevices: string[];
}

export interface DeviceManagerDeps {
  /** Sockets of the plugins and the kubelet's own: ROOT/device-plugins. */
  directory: string;
  logger: Logger;
  /** Resources have come, gone or changed. */
  onChange: () => void;
  /** The NUMA nodes that a container's devices are to be near to; undefined: any. */
  affinity: (uid: string, container: string) => readonly number[] | undefined;
  /** The machine's NUMA nodes. */
  numaNodes: () => readonly number[];
}

const version = 'v1beta1';
const namePattern =
  /^(?!kubernetes\.io\/|requests\.)[a-z0-9.-]+\.[a-z0-9.-]*\/[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/;

/** Lets plugins offer devices, and gives them to containers. Source: pkg/kubelet/cm/devicemanager. */
export class DeviceManager implements HintProvider {
  private readonly plugins = new Map<string, DevicePlugin>();
  /** Resources of which plugins are known to exist or have existed. */
  private readonly names = new Set<string>();
  private allocations: Allocation[] = [];
  private server: Server | undefined;
  private last: Promise<unknown> = Promise.resolve();

  constructor(private readonly deps: DeviceManagerDeps) {}

  /** Takes plugins from now on. Sockets of before are removed: by that plugins see that they have to register again. */
  async start(): Promise<void> {
    const { directory } = this.deps;
    fs.mkdirSync(directory, { recursive: true, mode: 0o750 });
    for (const name of fs.readdirSync(directory)) {
      if (fs.statSync(path.join(directory, name)).isSocket()) fs.rmSync(path.join(directory, name), { force: true });
    }
    this.load();
    const server = new Server();
    server.addService(deviceplugin.RegistrationService, {
      register: ({ request }, callback) => {
        try {
          this.register(request);
          callback(null, {});
        } catch (error) {
          callback({ code: status.INVALID_ARGUMENT, details: (error as Error).message });
        }
      },
    } satisfies deviceplugin.RegistrationServer);
    await new Promise<void>((resolve, reject) => {
      const socket = `unix:${path.join(directory, 'kubelet.sock')}`;
      server.bindAsync(socket, ServerCredentials.createInsecure(), error => (error ? reject(error) : resolve()));
    });
    this.server = server;
  }

  stop(): void {
    this.server?.forceShutdown();
    for (const plugin of this.plugins.values()) plugin.close();
  }

  private register(request: deviceplugin.RegisterRequest): void {
    const { endpoint, resourceName, options } = request;
    if (request.version !== version) {
      throw new Error(
        `requested API version "${request.version}" is not supported by kubelet. Supported version is "${version}"`,
      );
    }
    if (!namePattern.test(resourceName)) throw new Error(`the ResourceName "${resourceName}" is invalid`);
    if (endpoint === '' || path.basename(endpoint) !== endpoint) throw new Error(`invalid endpoint "${endpoint}"`);
    const { logger, directory, onChange } = this.deps;
    this.plugins.get(resourceName)?.close();
    const socket = path.join(directory, endpoint);
    this.plugins.set(resourceName, new DevicePlugin({ socket, resource: resourceName, options, logger, onChange }));
    this.names.add(resourceName);
    this.save();
    logger.info({ resource: resourceName, socket }, 'device plugin registered');
  }

  /** For the Node: all devices, and those that can be had. A resource whose plugin has gone counts none. */
  resources(): Map<string, { capacity: number; allocatable: number }> {
    return new Map(
      [...this.names].map(name => {
        const plugin = this.plugins.get(name);
        const healthy = [...(plugin?.devices.values() ?? [])].filter(Boolean).length;
        return [name, { capacity: plugin?.devices.size ?? 0, allocatable: plugin?.isAlive ? healthy : 0 }];
      }),
    );
  }

  /**
   * Whether the devices of a container work: `allocatedResourcesStatus`. What the plugin says nothing of is taken to work, as in upstream.
   */
  health(uid: string, container: string): DeviceHealth {
    return this.allocations
      .filter(each => each.pod === uid && each.container === container)
      .map(({ resource, devices }) => ({
        name: resource,
        resources: devices.map(resourceID => ({
          resourceID,
          health: this.plugins.get(resource)?.devices.get(resourceID) === false ? 'Unhealthy' : 'Healthy',
        })),
      }));
  }

  /** The pods that have devices, by uid. */
  get users(): ReadonlySet<string> {
    return new Set(this.allocations.map(({ pod }) => pod));
  }

  /** Gives a container the devices that its limits name, the same again if it has had some. Throws when there are too few. */
  async allocate(pod: Pod, container: Container): Promise<DeviceGrant> {
    const grant: DeviceGrant = { envs: {}, mounts: [], devices: [], annotations: {}, cdiDevices: [] };
    for (const [resource, text] of Object.entries(container.resources?.limits ?? {})) {
      const count = quantityValue(text);
      if (!this.names.has(resource) || count === 0 || isServedByClaim(pod, container.name, resource)) continue;
      // One after the other: two containers must not be given the same device.
      const turn = this.last.then(() => this.allocateOne(pod, container, resource, count));
      this.last = turn.catch(() => undefined);
      const { devices, response } = await turn;
      await this.plugins.get(resource)?.preStart(devices);
      const given = deviceplugin.ContainerAllocateResponse.fromJSON(response);
      Object.assign(grant.envs, given.envs);
      Object.assign(grant.annotations, given.annotations);
      grant.mounts.push(...given.mounts);
      grant.devices.push(...given.devices);
      grant.cdiDevices.push(...given.cdiDevices.map(({ name }) => name));
    }
    return grant;
  }

  private async allocateOne(pod: Pod, container: Container, resource: string, count: number): Promise<Allocation> {
    const uid = pod.metadata?.uid ?? '';
    const before = this.allocations.find(
      each => each.pod === uid && each.container === container.name && each.resource === resource,
    );
    if (before) return before;
    const plugin = this.plugins.get(resource);
    const free = this.free(resource);
    if (!plugin?.isAlive || free.length < count) {
      throw new Error(
        `Allocate failed due to requested number of devices unavailable for ${resource}. Requested: ${count}, Available: ${plugin?.isAlive ? free.length : 0}, which is unexpected`,
      );
    }
    const affinity = this.deps.affinity(uid, container.name);
    const near = affinity ? free.filter(id => isNear(plugin, id, affinity)) : free;
    // What is near goes first; only when that is too little the plugin chooses among all.
    const devices = await plugin.prefer(near.length >= count ? near : [...new Set([...near, ...free])], count);
    const response = deviceplugin.ContainerAllocateResponse.toJSON(await plugin.allocate(devices));
    const allocation = { pod: uid, container: container.name, resource, devices, response };
    this.allocations.push(allocation);
    this.save();
    return allocation;
  }

  private free(resource: string): string[] {
    const taken = new Set(
      this.allocations.filter(each => each.resource === resource).flatMap(({ devices }) => devices),
    );
    const devices = this.plugins.get(resource)?.devices ?? [];
    return [...devices].filter(([id, healthy]) => healthy && !taken.has(id)).map(([id]) => id);
  }

  hints(pod: Pod, container: Container | undefined): Map<string, Hint[] | undefined> {
    const wanted = new Map<string, number>();
    for (const { name: place, resources } of container ? [container] : (pod.spec?.containers ?? [])) {
      for (const [name, text] of Object.entries(resources?.limits ?? {})) {
        if (this.names.has(name) && !isServedByClaim(pod, place, name))
          wanted.set(name, (wanted.get(name) ?? 0) + quantityValue(text));
      }
    }
    return new Map([...wanted].filter(([, count]) => count > 0).map(([name, count]) => [name, this.near(name, count)]));
  }

  private near(resource: string, count: number): Hint[] | undefined {
    const plugin = this.plugins.get(resource);
    if (!plugin || [...plugin.nodes.values()].every(nodes => nodes.length === 0)) return undefined;
    const within = (ids: readonly string[]) => (nodes: readonly number[]) =>
      ids.filter(id => isNear(plugin, id, nodes)).length;
    const [all, free] = [within([...plugin.devices.keys()]), within(this.free(resource))];
    return hintsFor(this.deps.numaNodes(), count, { all, free });
  }

  /** The pod is over: its devices are free. */
  release(uid: string): void {
    const kept = this.allocations.filter(({ pod }) => pod !== uid);
    if (kept.length === this.allocations.length) return;
    this.allocations = kept;
    this.save();
  }

  private get checkpoint(): string {
    return path.join(this.deps.directory, 'allocations.json');
  }

  private save(): void {
    const temporary = `${this.checkpoint}.new`;
    fs.writeFileSync(temporary, JSON.stringify({ names: [...this.names], allocations: this.allocations }), {
      mode: 0o600,
    });
    fs.renameSync(temporary, this.checkpoint);
  }

  private load(): void {
    if (!fs.existsSync(this.checkpoint)) return;
    try {
      const { names, allocations } = JSON.parse(fs.readFileSync(this.checkpoint, 'utf8')) as {
        names: string[];
        allocations: Allocation[];
      };
      for (const name of names) this.names.add(name);
      this.allocations = allocations;
    } catch (err) {
      this.deps.logger.warn({ err, file: this.checkpoint }, 'what devices containers have is not known');
    }
  }
}

/** A device that is near to no node in particular is near to all. */
function isNear(plugin: DevicePlugin, id: string, nodes: readonly number[]): boolean {
  const own = plugin.nodes.get(id) ?? [];
  return own.length === 0 || own.some(node => nodes.includes(node));
}
