import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { type Clock, type Logger, StatusError } from '@naru/foundation';
import { cri } from '@naru/proto';
import type { ImageStore, NamedImage } from '../images/image-store';
import { createWithConmon } from '../oci/conmon';
import type { OciRuntimes } from '../oci/oci-runtimes';
import type { Cgroups } from '../process/cgroups';
import { containerCgroup } from '../process/container-cgroup';
import { isRunning } from '../process/process-identity';
import type { SandboxRecord } from '../sandboxes/sandbox-record';
import type { Sandboxes } from '../sandboxes/sandboxes';
import type { CdiRegistry } from '../spec/cdi';
import { applyEdits } from '../spec/cdi-edits';
import { containerSpec, type SandboxParts } from '../spec/container-spec';
import { bind } from '../spec/mounts';
import type { OciMount } from '../spec/oci-types';
import { resolveInRoot } from '../spec/rootfs-path';
import type { ContainerFiles } from './container-files';
import type { ContainerRecord, ContainerRecords } from './container-record';
import { MappedMounts } from './mapped-mounts';
import { signalNumber, toCriSignal } from './stop-signals';

export interface ContainerCreatorDeps {
  records: ContainerRecords;
  sandboxes: Sandboxes;
  images: ImageStore;
  runtimes: OciRuntimes;
  conmon: string;
  cgroups: Cgroups;
  boundingSet: readonly string[];
  cdi: CdiRegistry;
  clock: Clock;
  logger: Logger;
}

interface CreatorDeps extends ContainerCreatorDeps {
  files: ContainerFiles;
  /** Where conmon is to write how a container ended. */
  exitDirectory: string;
  /** A container by its id; throws NotFound. */
  get: (id: string) => ContainerRecord;
}

/** Makes containers: root, mounts, specification and the processes that wait to be started. */
export class ContainerCreator {
  constructor(private readonly deps: CreatorDeps) {}

  /** Answers with the record, which has been saved. Leaves nothing behind when it throws. */
  async create(
    sandbox: SandboxRecord,
    config: cri.ContainerConfig,
    { logDirectory }: cri.PodSandboxConfig,
  ): Promise<ContainerRecord> {
    const { deps } = this;
    const image = deps.images.get(config.image?.image ?? '');
    const id = randomBytes(32).toString('hex');
    const directory = deps.files.directory(id);
    const bundle = deps.files.bundle(id);
    const cgroup = containerCgroup(deps.sandboxes.cgroupParent(sandbox), id);
    fs.mkdirSync(directory, { recursive: true, mode: 0o711 });
    fs.mkdirSync(bundle, { recursive: true, mode: 0o711 });
    const mapped = new MappedMounts(bundle);
    try {
      const pidMode = config.linux?.securityContext?.namespaceOptions?.pid ?? cri.NamespaceMode.CONTAINER;
      const parts = deps.sandboxes.parts(sandbox, pidMode, this.#targetPid(sandbox, config));
      const snapshot = deps.files.snapshot(id);
      await snapshot.mount(id, image.config.rootfs.diff_ids, directory, parts.users);
      const imageMounts = await this.#mountImages(id, config, parts.users);
      const runtime = deps.runtimes.get(sandbox.runtimeHandler);
      const recursiveReadOnly = await runtime.recursiveReadOnly();
      const edits = await deps.cdi.editsFor(config.CDIDevices.map(({ name }) => name));
      const { spec, mounts, user } = containerSpec({
        config,
        image: image.config,
        rootfs: snapshot.rootfs,
        cgroup,
        sandbox: parts,
        imageMounts,
        node: { cgroups: deps.cgroups, boundingSet: deps.boundingSet, recursiveReadOnly },
      });
      spec.mounts = await mapped.attach(applyEdits(spec, mounts, edits), parts.users?.path);
      fs.writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(spec), { mode: 0o600 });
      const logPath = config.logPath && logDirectory ? path.join(logDirectory, config.logPath) : '';
      if (logPath) fs.mkdirSync(path.dirname(logPath), { recursive: true });
      const processes = await createWithConmon(deps.conmon, runtime, {
        id,
        name: config.metadata?.name ?? id,
        bundle,
        logPath,
        exitDirectory: deps.exitDirectory,
        terminal: config.tty,
        stdin: config.stdin,
        leaveStdinOpen: !config.stdinOnce,
        systemdCgroup: cgroup.bySystemd,
      });
      await mapped.detach();
      const record: ContainerRecord = {
        ...{ id, sandboxId: sandbox.id, config, imageId: image.id, imageRef: image.digests[0] ?? image.id },
        ...{ cgroup: cgroup.path, logPath, user, process: spec.process },
        ownPid: pidMode === cri.NamespaceMode.CONTAINER,
        stopSignal: stopSignal(config, image),
        createdAt: BigInt(deps.clock.now()) * 1_000_000n,
        startedAt: 0n,
        main: processes.container,
        conmon: processes.conmon,
        exit: undefined,
      };
      deps.records.save(record);
      return record;
    } catch (error) {
      await deps.files
        .wipe(id, cgroup.path)
        .catch((err: unknown) => deps.logger.warn({ err, container: id }, 'leftovers of a failed creation remain'));
      throw error;
    }
  }

  /** Volumes made of images: their layers mounted as an overlay that nobody writes to. */
  async #mountImages(id: string, config: cri.ContainerConfig, users: SandboxParts['users']): Promise<OciMount[]> {
    const { files, images } = this.deps;
    const mounts: OciMount[] = [];
    for (const [index, mount] of config.mounts.filter(entry => entry.image?.image).entries()) {
      const image = images.get(mount.image?.image ?? '');
      const { volume, key } = files.volume(id, index);
      await volume.mount(key, image.config.rootfs.diff_ids, files.directory(id), users);
      const source = resolveInRoot(volume.rootfs, mount.imageSubPath);
      if (!fs.existsSync(source))
        throw new StatusError('BadRequest', `image volume sub path "${mount.imageSubPath}" does not exist`);
      mounts.push(bind(source, mount.containerPath, ['ro', 'noexec', 'rprivate']));
    }
    return mounts;
  }

  #targetPid(sandbox: SandboxRecord, config: cri.ContainerConfig): number | undefined {
    const options = config.linux?.securityContext?.namespaceOptions;
    if (options?.pid !== cri.NamespaceMode.TARGET) return undefined;
    const target = this.deps.get(options.targetId);
    if (target.sandboxId !== sandbox.id)
      throw new StatusError('BadRequest', `the target container "${options.targetId}" is in another sandbox`);
    if (!isRunning(target.main))
      throw new StatusError('BadRequest', `the target container "${options.targetId}" is not running`);
    return target.main.pid;
  }
}

function stopSignal(config: cri.ContainerConfig, image: NamedImage): cri.Signal {
  if (config.stopSignal !== cri.Signal.RUNTIME_DEFAULT) return config.stopSignal;
  return toCriSignal(signalNumber(image.config.config?.StopSignal));
}
