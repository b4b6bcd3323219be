import fs from 'node:fs';
import path from 'node:path';
import { constants } from 'node:os';
import { KeyedLock, StatusError } from '@naru/foundation';
import { cri } from '@naru/proto';
import { reopenLog } from '../oci/conmon';
import type { OciRuntime } from '../oci/oci-runtime';
import { processesIn } from '../process/cgroups';
import type { Gate } from '../process/gate';
import { isRunning, signalProcess } from '../process/process-identity';
import type { SandboxRecord } from '../sandboxes/sandbox-record';
import { ociResources } from '../spec/resources';
import { checkpoint, requireCheckpoints } from './checkpoint';
import { ContainerCreator, type ContainerCreatorDeps } from './container-creator';
import { ContainerFiles } from './container-files';
import type { ContainerRecord } from './container-record';
import { ExitWaiters } from './exit-waiters';
import { ExitWatcher, type ExitFile } from './exit-watcher';
import { OomKills } from './oom-kills';
import type { Snapshot } from './snapshot';
import { criSignalNumber } from './stop-signals';

export interface ContainersDeps extends ContainerCreatorDeps {
  gate: Gate;
  /** Where bundles and exit files are: gone with the machine. */
  state: string;
  /** Called after every change of a container's state. */
  onEvent: (type: cri.ContainerEventType, record: ContainerRecord) => void;
}

const { CONTAINER_CREATED_EVENT, CONTAINER_STARTED_EVENT, CONTAINER_STOPPED_EVENT, CONTAINER_DELETED_EVENT } =
  cri.ContainerEventType;
/** How long the kernel may take to end a process after SIGKILL. */
const killTimeoutMs = 120_000;
/** As kubelets wait for a call. */
const checkpointTimeoutMs = 120_000;
const lostCheckMs = 10_000;
/** Longest single wait of somebody who waits for the end however long it takes. */
const endedCheckMs = 3_600_000;

export function containerState(record: ContainerRecord): cri.ContainerState {
  if (record.exit) return cri.ContainerState.CONTAINER_EXITED;
  return record.startedAt > 0n ? cri.ContainerState.CONTAINER_RUNNING : cri.ContainerState.CONTAINER_CREATED;
}

/** The containers of this runtime: from their creation to their removal, also across restarts of this process. */
export class Containers {
  readonly #records = new Map<string, ContainerRecord>();
  readonly #lock = new KeyedLock();
  readonly #waiters = new ExitWaiters();
  readonly #exits: ExitWatcher;
  readonly #oomKills: OomKills;
  readonly #files: ContainerFiles;
  readonly #creator: ContainerCreator;
  #lostCheck: NodeJS.Timeout | undefined;

  constructor(private readonly deps: ContainersDeps) {
    this.#exits = new ExitWatcher(path.join(deps.state, 'exits'), exit => this.#onExit(exit));
    this.#oomKills = new OomKills(deps.cgroups);
    this.#files = new ContainerFiles({ ...deps, exits: this.#exits });
    this.#creator = new ContainerCreator({
      ...{ ...deps, files: this.#files, exitDirectory: this.#exits.directory },
      get: id => this.get(id),
    });
  }

  list(): ContainerRecord[] {
    return [...this.#records.values()];
  }

  inSandbox(sandboxId: string): ContainerRecord[] {
    return this.list().filter(record => record.sandboxId === sandboxId);
  }

  find(id: string): ContainerRecord | undefined {
    return this.#records.get(id);
  }

  /** Throws NotFound. */
  get(id: string): ContainerRecord {
    const record = this.#records.get(id);
    if (!record) throw new StatusError('NotFound', `an error occurred when try to find container "${id}": not found`);
    return record;
  }

  /** Throws unless it runs: what executes commands needs that. */
  running(id: string): ContainerRecord {
    const record = this.get(id);
    if (containerState(record) !== cri.ContainerState.CONTAINER_RUNNING) {
      throw new StatusError(
        'BadRequest',
        `container "${id}" is in ${cri.containerStateToJSON(containerState(record))} state`,
        { code: 409 },
      );
    }
    return record;
  }

  /** The OCI runtime that a container runs with. */
  runtimeOf(record: ContainerRecord): OciRuntime {
    return this.deps.runtimes.get(this.deps.sandboxes.find(record.sandboxId)?.runtimeHandler ?? '');
  }

  snapshot(id: string): Snapshot {
    return this.#files.snapshot(id);
  }

  bundle(id: string): string {
    return this.#files.bundle(id);
  }

  #now(): bigint {
    return BigInt(this.deps.clock.now()) * 1_000_000n;
  }

  /**
   * Creates a container in a sandbox. A second call for the same attempt of the same container answers with the one that is there
   * while it has not been started: the first answer may have been lost.
   */
  async create(
    sandbox: SandboxRecord,
    config: cri.ContainerConfig,
    sandboxConfig: cri.PodSandboxConfig,
  ): Promise<ContainerRecord> {
    const { name = '', attempt = 0 } = config.metadata ?? {};
    if (name === '') throw new StatusError('BadRequest', 'the container configuration has no metadata');
    if (!this.deps.sandboxes.isReady(sandbox))
      throw new StatusError('BadRequest', `sandbox container "${sandbox.id}" is not running`);
    return this.#lock.run(`${sandbox.id}/${name}/${attempt}`, async () => {
      const same = this.inSandbox(sandbox.id).find(
        record => record.config.metadata?.name === name && record.config.metadata.attempt === attempt,
      );
      if (same && containerState(same) === cri.ContainerState.CONTAINER_CREATED) return same;
      if (same)
        throw new StatusError(
          'AlreadyExists',
          `the container name "${name}" attempt ${attempt} is reserved for "${same.id}"`,
        );
      return this.deps.gate.run('create', async () => {
        const record = await this.#creator.create(sandbox, config, sandboxConfig);
        this.#records.set(record.id, record);
        this.deps.onEvent(CONTAINER_CREATED_EVENT, record);
        return record;
      });
    });
  }

  /** Starts a created container. One that cannot start has exited, with code 128. */
  async start(id: string): Promise<void> {
    await this.#lock.run(id, async () => {
      const record = this.get(id);
      if (containerState(record) !== cri.ContainerState.CONTAINER_CREATED) {
        if (!record.exit && record.startedAt > 0n) return; // the first answer was lost
        throw new StatusError(
          'BadRequest',
          `container "${id}" is in ${cri.containerStateToJSON(containerState(record))} state`,
        );
      }
      try {
        await this.deps.gate.run('start', () => this.runtimeOf(record).start(id));
      } catch (error) {
        if (record.main) signalProcess(record.main, 'SIGKILL');
        this.#finish(record, {
          code: 128,
          finishedAt: this.#now(),
          oomKilled: false,
          reason: 'StartError',
          message: (error as Error).message,
        });
        throw error;
      }
      // It may have ended meanwhile; then this is still the time at which it started.
      record.startedAt = record.exit && record.exit.finishedAt < this.#now() ? record.exit.finishedAt : this.#now();
      this.deps.records.save(record);
      this.deps.onEvent(CONTAINER_STARTED_EVENT, record);
    });
  }

  #onExit(file: ExitFile): void {
    const record = this.#records.get(file.id);
    if (!record || record.exit) return;
    const oomKilled = file.code !== 0 && this.#oomKills.hasEnded(record, file.code);
    this.#finish(record, { ...file, oomKilled, reason: oomKilled ? 'OOMKilled' : '', message: '' });
  }

  #finish(record: ContainerRecord, exit: NonNullable<ContainerRecord['exit']>): void {
    const { code, finishedAt, oomKilled, reason, message } = exit;
    record.exit = { code, finishedAt, oomKilled, reason, message };
    this.deps.records.save(record);
    this.#waiters.notify(record.id);
    this.deps.onEvent(CONTAINER_STOPPED_EVENT, record);
    this.#lock
      .run(record.id, () => this.#release(record))
      .catch((err: unknown) =>
        this.deps.logger.warn({ err, container: record.id }, 'exited container could not be cleaned up'),
      );
  }

  /** Gives back what only a running container needs: its cgroup, the OCI runtime's state, its mounts. */
  async #release(record: ContainerRecord): Promise<void> {
    if (!record.ownPid) {
      for (const pid of processesIn(this.deps.cgroups, record.cgroup)) {
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It has just ended.
        }
      }
    }
    await this.runtimeOf(record).delete(record.id, record.cgroup);
    await this.snapshot(record.id).unmount();
  }

  /**
   * Stops a container: its stop signal, then SIGKILL after `timeoutSeconds`. Resolves when it has ended; at once when it had before. The
   * signals go to the process directly: asking the OCI runtime to send them would cost another process.
   */
  async stop(id: string, timeoutSeconds: number, signal?: AbortSignal): Promise<void> {
    const record = this.#records.get(id);
    if (!record || record.exit) return;
    if (timeoutSeconds > 0 && record.startedAt > 0n) {
      this.#signal(record, criSignalNumber(record.stopSignal));
      if (await this.#waiters.wait(id, () => record.exit !== undefined, timeoutSeconds * 1_000, signal)) return;
    }
    this.#signal(record, constants.signals.SIGKILL);
    if (await this.#waiters.wait(id, () => record.exit !== undefined, killTimeoutMs, signal)) return;
    throw new StatusError('Timeout', `container "${id}" has not ended ${killTimeoutMs / 1_000} s after SIGKILL`);
  }

  /** Resolves when the container has ended; rejects when aborted. */
  async ended(id: string, signal: AbortSignal): Promise<void> {
    const hasEnded = (): boolean => this.#records.get(id)?.exit !== undefined || !this.#records.has(id);
    while (!(await this.#waiters.wait(id, hasEnded, endedCheckMs, signal)));
  }

  #signal(record: ContainerRecord, signal: number): void {
    const alive = record.main !== undefined && signalProcess(record.main, signal);
    if (!alive || !isRunning(record.conmon)) this.#settleLost(record);
  }

  /** A container whose conmon has died will never get an exit file: see for ourselves whether it runs. */
  #settleLost(record: ContainerRecord): void {
    if (record.exit || isRunning(record.conmon)) return;
    const file = this.#exits.read(record.id);
    if (file) this.#onExit(file);
    else if (isRunning(record.main)) setTimeout(() => this.#settleLost(record), 100).unref();
    else
      this.#finish(record, {
        code: 255,
        finishedAt: this.#now(),
        oomKilled: false,
        reason: 'Unknown',
        message: 'the container ended unobserved',
      });
  }

  /** Removes a container with all that belongs to it; one that is not there is no error. A running one is killed. */
  async remove(id: string): Promise<void> {
    await this.stop(id, 0);
    await this.#lock.run(id, async () => {
      const record = this.#records.get(id);
      if (!record) return;
      await this.#files.wipe(id, record.cgroup);
      this.#records.delete(id);
      if (this.inSandbox(record.sandboxId).length === 0) this.#oomKills.forget(record.sandboxId);
      this.deps.onEvent(CONTAINER_DELETED_EVENT, record);
    });
  }

  /** Changes limits; what is 0 or empty stays as it was. */
  async update(id: string, resources: cri.LinuxContainerResources | undefined): Promise<void> {
    await this.#lock.run(id, async () => {
      const record = this.get(id);
      if (!resources || record.exit) return;
      await this.runtimeOf(record).update(id, ociResources(resources, this.deps.cgroups));
      const linux = record.config.linux ?? cri.LinuxContainerConfig.fromPartial({});
      const known = linux.resources ?? cri.LinuxContainerResources.fromPartial({});
      const changed = Object.entries(resources).filter(
        ([, value]) => value !== 0n && value !== '' && !(Array.isArray(value) && value.length === 0),
      );
      record.config.linux = { ...linux, resources: { ...known, ...Object.fromEntries(changed) } };
      this.deps.records.save(record);
    });
  }

  /** Writes the state of a running container to an archive. `timeoutMs`: for each step of that; 0 means as long as other calls. */
  async checkpoint(id: string, location: string, timeoutMs: number): Promise<void> {
    const runtime = this.runtimeOf(this.get(id));
    await requireCheckpoints(runtime);
    await this.#lock.run(id, () => {
      const record = this.running(id);
      return checkpoint({
        ...{ record, runtime, location, bundle: this.bundle(id), upper: this.snapshot(id).upper },
        ...{ scratch: path.join(this.#files.directory(id), 'checkpoint'), now: this.deps.clock.now() },
        imageName: record.config.image?.userSpecifiedImage || (record.config.image?.image ?? ''),
        timeoutMs: timeoutMs || checkpointTimeoutMs,
      });
    });
  }

  /** After rotation. Throws when the container does not run. */
  reopenLog(id: string): void {
    const record = this.running(id);
    if (record.logPath !== '' && !reopenLog(this.bundle(id))) {
      throw new StatusError('InternalError', `cannot reopen the log of container "${id}": conmon does not run`);
    }
  }

  /** Takes up what an earlier process, or an earlier life of the machine, has left, and from then on hears of exits. */
  async recover(): Promise<void> {
    const { records, orphans } = this.deps.records.load();
    for (const record of records) this.#records.set(record.id, record);
    const unknown = new Set([...orphans, ...this.#files.bundles().filter(id => !this.#records.has(id))]);
    for (const id of unknown) {
      await this.#files
        .wipe(id, '')
        .catch((err: unknown) =>
          this.deps.logger.warn({ err, container: id }, 'leftover container could not be removed'),
        );
    }
    for (const record of records) {
      // The FIFO on which a created container waits disappears when it is started.
      const waits = fs.existsSync(path.join(this.runtimeOf(record).root, record.id, 'exec.fifo'));
      if (!record.exit && record.startedAt === 0n && isRunning(record.main) && !waits) record.startedAt = this.#now();
    }
    this.#exits.start();
    for (const record of records) {
      this.#settleLost(record);
      if (record.exit)
        await this.#lock
          .run(record.id, () => this.#release(record))
          .catch((err: unknown) =>
            this.deps.logger.warn({ err, container: record.id }, 'exited container could not be cleaned up'),
          );
    }
    // Exits are told by inotify. Only a container whose conmon was killed has nobody to tell of it.
    this.#lostCheck = setInterval(() => {
      for (const record of this.#records.values())
        if (!record.exit && !isRunning(record.main)) this.#settleLost(record);
    }, lostCheckMs);
    this.#lostCheck.unref();
  }

  close(): void {
    clearInterval(this.#lostCheck);
    this.#exits.stop();
  }
}
