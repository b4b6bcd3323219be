import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { Logger } from '@naru/foundation';
import { isUnified, removeCgroup, type Cgroups } from '../process/cgroups';
import { CommandError, runCommand, tryCommand } from '../process/run-command';
import { mountsRecursivelyReadOnly } from './recursive-read-only';
import type { OciIdMapping, OciLinux, OciMount, OciResources, OciSpec } from '../spec/oci-types';

/** runc or crun: both take the same commands. Source: opencontainers/runtime-spec, runtime.md, and the programs' own help. */
export class OciRuntime {
  constructor(
    readonly program: string,
    /** Where it keeps its own state: on a tmpfs, as its entries mean nothing after a restart of the machine. */
    readonly root: string,
    private readonly cgroups: Cgroups,
  ) {}

  #readOnly: Promise<boolean> | undefined;
  #checkpoints: Promise<boolean> | undefined;

  get name(): string {
    return path.basename(this.program);
  }

  /** Arguments before the command. */
  get globalArguments(): string[] {
    return ['--root', this.root];
  }

  /** The same for what makes a container; later commands read from its state who has made its cgroup. */
  creationArguments(systemdCgroup: boolean): string[] {
    return [...this.globalArguments, ...(systemdCgroup ? ['--systemd-cgroup'] : [])];
  }

  /** Read-only may hold for what is mounted below a mount too; asked once. */
  recursiveReadOnly(): Promise<boolean> {
    this.#readOnly ??= mountsRecursivelyReadOnly(this.program);
    return this.#readOnly;
  }

  /** It can write the state of a container's processes; asked once. */
  canCheckpoint(): Promise<boolean> {
    this.#checkpoints ??= tryCommand(this.program, ['checkpoint', '--help']).then(
      ({ code }) => code === 0,
      () => false,
    );
    return this.#checkpoints;
  }

  /** Has CRIU write the state of a container's processes, which run on, to `imagePath`, and its log to `workPath`. */
  async checkpoint(id: string, options: { imagePath: string; workPath: string; timeoutMs: number }): Promise<void> {
    const { imagePath, workPath, timeoutMs } = options;
    const places = ['--image-path', imagePath, '--work-path', workPath];
    // Connections and locks belong to what runs on.
    const kept = ['--leave-running', '--tcp-established', '--file-locks'];
    const args = [...this.globalArguments, 'checkpoint', ...places, ...kept, id];
    await runCommand(this.program, args, { timeoutMs });
  }

  /** It has state of this container. */
  holds(id: string): boolean {
    return fs.existsSync(path.join(this.root, id));
  }

  /** Lets the process of a created container go. */
  async start(id: string): Promise<void> {
    await runCommand(this.program, [...this.globalArguments, 'start', id]);
  }

  /** Creates and starts a container without stdio, which becomes a child of process 1; for the pause process. */
  async runDetached(id: string, bundle: string, pidFile: string, systemdCgroup: boolean): Promise<void> {
    const log = path.join(bundle, 'runtime.log');
    const command = ['--log', log, 'run', '-d', '-b', bundle, '--pid-file', pidFile, id];
    const args = [...this.creationArguments(systemdCgroup), ...command];
    // The container inherits the outputs: with pipes we would wait for its end.
    const { code } = await tryCommand(this.program, args, { discardOutput: true });
    if (code === 0) return;
    const stderr = fs.existsSync(log) ? fs.readFileSync(log, 'utf8') : '';
    throw new CommandError(this.name, { code, stdout: '', stderr });
  }

  /** Removes a container that has stopped, with its cgroup; one that is not known is none. */
  async delete(id: string, cgroup: string): Promise<void> {
    if (this.holds(id)) await this.#delete(id);
    removeCgroup(this.cgroups, cgroup);
    removeHiddenUnified(this.cgroups, cgroup);
  }

  async #delete(id: string): Promise<void> {
    const { code, stderr, stdout } = await tryCommand(this.program, [...this.globalArguments, 'delete', id]);
    if (code === 0 || !this.holds(id)) return;
    // It polls at 100 ms, but gets rid of what an aborted creation has left.
    const forced = await tryCommand(this.program, [...this.globalArguments, 'delete', '-f', id]);
    if (forced.code !== 0) throw new CommandError(this.name, { code, stdout, stderr });
  }

  /** Changes the limits of a container. */
  async update(id: string, resources: OciResources): Promise<void> {
    const file = path.join(this.root, `.update-${id}.json`);
    fs.writeFileSync(file, JSON.stringify(resources), { mode: 0o600 });
    try {
      await runCommand(this.program, [...this.globalArguments, 'update', '--resources', file, id]);
    } finally {
      fs.rmSync(file, { force: true });
    }
  }
}

/**
 * With the version 2 mount of a hybrid host out of the way, crun makes its cgroup below the empty mount point: ordinary directories
 * on a tmpfs, which nobody would remove.
 */
function removeHiddenUnified(cgroups: Cgroups, cgroup: string): void {
  if (cgroups.version === 2 || cgroups.hybridMount !== undefined) return;
  const base = '/sys/fs/cgroup/unified';
  const parts = cgroup.split('/').filter(Boolean);
  if (parts.length === 0 || !fs.existsSync(base) || isUnified(base)) return;
  fs.rmSync(path.join(base, ...parts), { recursive: true, force: true });
  for (let depth = parts.length - 1; depth > 0; depth--) {
    try {
      fs.rmdirSync(path.join(base, ...parts.slice(0, depth)));
    } catch {
      return; // other containers are still in it
    }
  }
}

/** A path as it is, a name in PATH and where system programs are. */
export function findProgram(name: string): string | undefined {
  if (name.includes('/')) return fs.existsSync(name) ? name : undefined;
  const directories = `${process.env['PATH'] ?? ''}:/usr/local/sbin:/usr/sbin:/sbin`.split(':');
  return directories.map(directory => path.join(directory, name)).find(file => fs.existsSync(file));
}

/** What a container that only shows whether a runtime works has beside the usual. */
export interface ProbeOptions {
  /** Directories of the node are mounted in it. */
  rootfs?: string;
  /** Ends with 0 when all is well. */
  script?: string;
  mounts?: OciMount[];
  namespaces?: OciLinux['namespaces'];
  uidMappings?: OciIdMapping[];
  gidMappings?: OciIdMapping[];
}

/** Runs a container that does nothing: only this shows whether a runtime works with this machine's kernel and cgroups. Throws when it does not. */
export async function probe(
  runtime: OciRuntime,
  scratch: string,
  cgroup: string,
  options: ProbeOptions = {},
): Promise<void> {
  const { rootfs = 'rootfs', script = 'true', mounts = [], namespaces = [], ...mappings } = options;
  const id = `naru-probe-${randomBytes(6).toString('hex')}`;
  const bundle = path.join(scratch, id);
  fs.mkdirSync(path.join(bundle, 'rootfs', 'dev'), { recursive: true });
  const shared = ['/bin', '/lib', '/lib64', '/usr'].filter(place => fs.existsSync(place));
  const none: string[] = [];
  const spec: OciSpec = {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: ['/bin/sh', '-c', script],
      env: ['PATH=/bin'],
      cwd: '/',
      capabilities: { bounding: none, effective: none, permitted: none, inheritable: none, ambient: none },
      noNewPrivileges: true,
    },
    root: { path: rootfs, readonly: false },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc', options: [] },
      ...shared.map(place => ({ destination: place, type: 'bind', source: place, options: ['rbind', 'ro'] })),
      ...mounts,
    ],
    linux: {
      namespaces: [{ type: 'mount' }, { type: 'pid' }, ...namespaces],
      ...mappings,
      devices: [],
      cgroupsPath: `${cgroup}/${id}`,
      resources: {},
    },
  };
  fs.writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(spec));
  try {
    await runCommand(runtime.program, [...runtime.globalArguments, 'run', '-b', bundle, id], { timeoutMs: 20_000 });
  } finally {
    await runtime.delete(id, `${cgroup}/${id}`).catch(() => undefined);
    fs.rmSync(bundle, { recursive: true, force: true });
  }
}

/**
 * Finds a runtime that works, the first of some names or paths. Throws, with what each said, when none does.
 */
export async function detectOciRuntime(
  wanted: readonly string[],
  options: { root: string; scratch: string; cgroupParent: string; cgroups: Cgroups; logger: Logger },
): Promise<OciRuntime> {
  const problems: string[] = [];
  for (const name of wanted) {
    const program = findProgram(name);
    if (program === undefined) {
      problems.push(`${name}: not found`);
      continue;
    }
    fs.mkdirSync(options.root, { recursive: true, mode: 0o700 });
    const runtime = new OciRuntime(program, options.root, options.cgroups);
    try {
      await probe(runtime, options.scratch, options.cgroupParent);
      return runtime;
    } catch (err) {
      options.logger.warn({ err, program }, 'OCI runtime does not work here');
      problems.push((err as Error).message);
    }
  }
  throw new Error(`no OCI runtime works on this machine: ${problems.join('; ')}`);
}
