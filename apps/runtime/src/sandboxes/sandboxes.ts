import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { type Clock, KeyedLock, type Logger, StatusError } from '@naru/foundation';
import { cri } from '@naru/proto';
import type { Attachment, Cni, NetworkResult } from '../cni/cni';
import { capabilityArguments } from '../cni/capability-arguments';
import type { Networks } from '../cni/networks';
import { removeCgroup, type Cgroups } from '../process/cgroups';
import { cgroupPath, containerCgroup, type ContainerCgroup } from '../process/container-cgroup';
import type { OciRuntimes } from '../oci/oci-runtimes';
import type { Gate } from '../process/gate';
import { isRunning } from '../process/process-identity';
import { listDirectory } from '../process/files';
import type { SandboxParts } from '../spec/container-spec';
import type { OciSpec } from '../spec/oci-types';
import { SandboxNamespaces } from './namespaces';
import type { PauseProcesses } from './pause';
import { resolvConf } from './resolver';
import type { SandboxRecord, SandboxRecords } from './sandbox-record';
import { sysctlFiles } from './sysctls';
import { userMappings, type UserMappings } from './user-namespace';
import type { UserNamespaceSupport } from './user-namespace-support';

export interface SandboxesDeps {
  records: SandboxRecords;
  networks: Networks;
  cni: Cni;
  pause: PauseProcesses;
  runtimes: OciRuntimes;
  /** Run state: gone after a restart of the machine. */
  state: string;
  defaultCgroupParent: string;
  /** Where the layers of all images are. */
  imageLayers: string;
  userNamespaces: UserNamespaceSupport;
  cgroups: Cgroups;
  gate: Gate;
  clock: Clock;
  logger: Logger;
}

const { NODE, POD } = cri.NamespaceMode;

interface OwnNamespaces {
  network: boolean;
  ipc: boolean;
  sharedPid: boolean;
  users: UserMappings | undefined;
}

/** Which of its namespaces a sandbox has to itself. */
function ownNamespaces(config: cri.PodSandboxConfig): OwnNamespaces {
  const options = config.linux?.securityContext?.namespaceOptions;
  const users = userMappings(options);
  return { network: options?.network !== NODE, ipc: options?.ipc !== NODE, sharedPid: options?.pid === POD, users };
}

function nameOf(config: cri.PodSandboxConfig): string {
  const { namespace = '', name = '', uid = '', attempt = 0 } = config.metadata ?? {};
  return `${name}_${namespace}_${uid}_${attempt}`;
}

/** Pod sandboxes: namespaces, network and the files that all containers of a pod share. */
export class Sandboxes {
  readonly #records = new Map<string, SandboxRecord>();
  readonly #lock = new KeyedLock();

  constructor(private readonly deps: SandboxesDeps) {}

  list(): SandboxRecord[] {
    return [...this.#records.values()];
  }

  find(id: string): SandboxRecord | undefined {
    return this.#records.get(id);
  }

  /** Throws NotFound. */
  get(id: string): SandboxRecord {
    const record = this.#records.get(id);
    if (!record) throw new StatusError('NotFound', `an error occurred when try to find sandbox "${id}": not found`);
    return record;
  }

  isReady(record: SandboxRecord): boolean {
    return record.phase === 'ready';
  }

  namespaces(id: string): SandboxNamespaces {
    return new SandboxNamespaces(path.join(this.deps.state, 'sandboxes', id, 'ns'));
  }

  /** The file of its network namespace; undefined when it is in the node's. */
  networkOf(record: SandboxRecord): string | undefined {
    return ownNamespaces(record.config).network ? this.namespaces(record.id).network : undefined;
  }

  cgroupParent(record: SandboxRecord): string {
    return cgroupPath(record.config.linux?.cgroupParent || `${this.deps.defaultCgroupParent}/${record.id}`);
  }

  /**
   * Makes a sandbox. A second call for the same attempt of the same pod answers with the sandbox that is there, as the first answer may have
   * been lost; Throws AlreadyExists when that has stopped.
   */
  async run(config: cri.PodSandboxConfig, runtimeHandler: string): Promise<SandboxRecord> {
    if (!config.metadata?.name) throw new StatusError('BadRequest', 'the sandbox configuration has no metadata');
    await this.deps.runtimes.check(runtimeHandler);
    return this.#lock.run(nameOf(config), async () => {
      const same = this.list().find(record => nameOf(record.config) === nameOf(config));
      if (same && this.isReady(same)) return same;
      if (same)
        throw new StatusError('AlreadyExists', `the sandbox name "${nameOf(config)}" is reserved for "${same.id}"`);
      return this.deps.gate.run('sandbox', () => this.#create(config, runtimeHandler));
    });
  }

  async #create(config: cri.PodSandboxConfig, runtimeHandler: string): Promise<SandboxRecord> {
    const own = ownNamespaces(config);
    if (own.users) await this.deps.userNamespaces.check(runtimeHandler);
    const sysctls = sysctlFiles(config.linux?.sysctls ?? {}, own);
    const id = randomBytes(32).toString('hex');
    const record: SandboxRecord = {
      id,
      config,
      runtimeHandler,
      createdAt: BigInt(this.deps.clock.now()) * 1_000_000n,
      phase: 'creating',
      ips: [],
    };
    await this.#prepareNetwork(record, own.network);
    // Written down first: whatever is made from here on can be found and taken away again.
    this.deps.records.save(record);
    try {
      this.#writeFiles(record, own.network);
      const namespaces = this.namespaces(id);
      await namespaces.create({ ...own, hostname: config.hostname, sysctls }, this.deps.imageLayers);
      if (record.network) {
        const { config: network, attachment } = record.network;
        record.network.result = await this.deps.cni.add(network, attachment);
        record.ips = addresses(record.network.result);
      }
      if (own.sharedPid)
        record.pause = await this.deps.pause.start(id, {
          cgroup: this.#pauseCgroup(record),
          linux: pinned(namespaces, own),
        });
      record.phase = 'ready';
      this.deps.records.save(record);
    } catch (error) {
      await this.#tearDown(record).then(
        () => this.deps.records.remove(id),
        (err: unknown) => {
          // It stays, stopped, so that the kubelet can try to remove it.
          record.phase = 'dead';
          this.#records.set(id, record);
          this.deps.logger.warn({ err, sandbox: id }, 'sandbox could not be taken apart after a failed creation');
        },
      );
      throw error;
    }
    this.#records.set(id, record);
    return record;
  }

  async #prepareNetwork(record: SandboxRecord, own: boolean): Promise<void> {
    if (!own) return;
    const network = await this.deps.networks.current().catch((cause: unknown) => {
      const { message } = cause as Error;
      throw new StatusError('ServiceUnavailable', `failed to setup network for sandbox "${record.id}": ${message}`, {
        cause,
      });
    });
    const { metadata } = record.config;
    const attachment: Attachment = {
      containerId: record.id,
      netns: this.namespaces(record.id).network,
      interfaceName: 'eth0',
      arguments: {
        IgnoreUnknown: '1',
        K8S_POD_NAMESPACE: metadata?.namespace ?? '',
        K8S_POD_NAME: metadata?.name ?? '',
        K8S_POD_INFRA_CONTAINER_ID: record.id,
        K8S_POD_UID: metadata?.uid ?? '',
      },
      runtimeConfig: capabilityArguments(record.config, this.cgroupParent(record)),
    };
    record.network = { config: network, attachment };
  }

  /** What the plugins say of a sandbox's attachment: undefined when nobody can tell, or it is in the node's network. */
  async checkNetwork(record: SandboxRecord): Promise<string | undefined> {
    const { config, attachment, result } = record.network ?? {};
    if (!config || !attachment || !result || !this.isReady(record)) return undefined;
    try {
      return (await this.deps.cni.check(config, attachment, result)) ? 'ok' : undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** Has plugins give back what they hold for sandboxes that are not there. Nothing may be attached meanwhile. */
  async collectNetworks(): Promise<void> {
    await this.deps.networks.collect(this.list().flatMap(({ network }) => (network ? [network.attachment] : [])));
  }

  #writeFiles(record: SandboxRecord, ownNetwork: boolean): void {
    const directory = this.deps.records.directory(record.id);
    const hosts = ownNetwork
      ? '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n'
      : fs.readFileSync('/etc/hosts', 'utf8');
    const files = {
      hosts,
      hostname: `${record.config.hostname || fs.readFileSync('/proc/sys/kernel/hostname', 'utf8').trim()}\n`,
      'resolv.conf': resolvConf(record.config.dnsConfig),
    };
    for (const [name, content] of Object.entries(files)) {
      fs.writeFileSync(path.join(directory, name), content);
      fs.chmodSync(path.join(directory, name), 0o644); // whatever the umask: any user of a container reads it
    }
  }

  #pauseCgroup(record: SandboxRecord): ContainerCgroup {
    return containerCgroup(this.cgroupParent(record), record.id);
  }

  /** What a container of the sandbox takes from it. `targetPid` is the process whose PID namespace mode TARGET means. */
  parts(record: SandboxRecord, pidMode: cri.NamespaceMode, targetPid: number | undefined): SandboxParts {
    const own = ownNamespaces(record.config);
    const namespaces = this.namespaces(record.id);
    const directory = this.deps.records.directory(record.id);
    const pid = targetPid ?? (pidMode === POD ? record.pause?.pid : undefined);
    return {
      network: own.network ? namespaces.network : undefined,
      uts: own.network ? namespaces.uts : undefined,
      ipc: own.ipc ? namespaces.ipc : undefined,
      pid: pid === undefined ? undefined : `/proc/${pid}/ns/pid`,
      hostPid: pidMode === NODE,
      users: own.users && { ...own.users, path: namespaces.user, layers: namespaces.layers },
      shm: namespaces.shm,
      hostname: record.config.hostname,
      etc: {
        hosts: path.join(directory, 'hosts'),
        hostname: path.join(directory, 'hostname'),
        resolvConf: path.join(directory, 'resolv.conf'),
      },
    };
  }

  /** Takes network and namespaces away; its containers have been stopped before. Says whether there was anything to do. */
  async stop(id: string): Promise<boolean> {
    return this.#lock.run(id, async () => {
      const record = this.#records.get(id);
      if (!record || record.phase === 'stopped') return false;
      await this.#tearDown(record);
      return true;
    });
  }

  async #tearDown(record: SandboxRecord): Promise<void> {
    if (record.pause || ownNamespaces(record.config).sharedPid)
      await this.deps.pause.stop(record.id, record.pause, this.#pauseCgroup(record).path);
    delete record.pause;
    if (record.network) {
      const { config, attachment, result } = record.network;
      // Plugins of this kind release addresses and rules also when the namespace itself has gone.
      const netns = this.namespaces(record.id).isIntact({ network: true, ipc: false, users: undefined })
        ? attachment.netns
        : '';
      await this.deps.cni.remove(config, { ...attachment, netns }, result);
      delete record.network;
    }
    await this.namespaces(record.id).remove();
    fs.rmSync(path.join(this.deps.state, 'sandboxes', record.id), { recursive: true, force: true });
    record.phase = 'stopped';
    this.deps.records.save(record);
  }

  /** Forgets a sandbox; it has been stopped, and its containers removed, before. */
  async remove(id: string): Promise<void> {
    await this.#lock.run(id, () => {
      const record = this.#records.get(id);
      // A parent that the kubelet has named is the kubelet's to remove.
      if (record && !record.config.linux?.cgroupParent) removeCgroup(this.deps.cgroups, this.cgroupParent(record));
      this.deps.records.remove(id);
      this.#records.delete(id);
      return Promise.resolve();
    });
  }

  /**
   * Takes up what an earlier process, or an earlier life of the machine, has left. Sandboxes whose namespaces are gone are not ready
   * any more; those that were never finished are taken apart.
   */
  async recover(): Promise<void> {
    for (const record of this.deps.records.load()) {
      const intact =
        this.namespaces(record.id).isIntact(ownNamespaces(record.config)) && (!record.pause || isRunning(record.pause));
      if (record.phase === 'ready' && intact) {
        this.#records.set(record.id, record);
        continue;
      }
      try {
        if (record.phase !== 'stopped') await this.#tearDown(record);
        if (record.phase === 'stopped') this.#records.set(record.id, record);
      } catch (err) {
        this.deps.logger.warn({ err, sandbox: record.id }, 'sandbox could not be taken apart');
        record.phase = 'dead'; // the kubelet's next StopPodSandbox tries again
        this.#records.set(record.id, record);
      }
    }
    for (const id of listDirectory(path.join(this.deps.state, 'sandboxes'))) {
      if (this.#records.get(id)?.phase === 'ready') continue;
      await this.namespaces(id)
        .remove()
        .catch((err: unknown) =>
          this.deps.logger.warn({ err, sandbox: id }, 'leftover namespaces could not be removed'),
        );
      fs.rmSync(path.join(this.deps.state, 'sandboxes', id), { recursive: true, force: true });
    }
  }
}

/** Addresses without their prefix length, IPv4 and IPv6, in the plugins' order. */
function addresses(result: NetworkResult): string[] {
  return (result.ips ?? []).map(ip => ip.address.replace(/\/\d+$/, ''));
}

/** What the pause process shares with the containers of its pod. */
function pinned(
  namespaces: SandboxNamespaces,
  own: OwnNamespaces,
): Pick<OciSpec['linux'], 'namespaces' | 'uidMappings' | 'gidMappings'> {
  const list: OciSpec['linux']['namespaces'] = [];
  if (own.users) list.push({ type: 'user', path: namespaces.user });
  if (own.network) list.push({ type: 'network', path: namespaces.network }, { type: 'uts', path: namespaces.uts });
  if (own.ipc) list.push({ type: 'ipc', path: namespaces.ipc });
  return { namespaces: list, ...(own.users ? { uidMappings: own.users.uids, gidMappings: own.users.gids } : {}) };
}
