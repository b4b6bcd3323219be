import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { KeyedLock, StatusError, type Clock, type Logger } from '@naru/foundation';
import { probe } from '../oci/oci-runtime';
import type { OciRuntimes } from '../oci/oci-runtimes';
import { mountOverlay, unmount } from '../process/mounts';
import { runSteps } from '../process/run-command';
import { mount } from '../process/steps';
import { SandboxNamespaces } from './namespaces';
import type { UserMappings } from './user-namespace';

export interface UserNamespaceSupportDeps {
  runtimes: OciRuntimes;
  /** On a disk: where containers write. */
  root: string;
  state: string;
  imageLayers: string;
  cgroupParent: string;
  clock: Pick<Clock, 'now'>;
  logger: Logger;
}

interface Outcome {
  /** Undefined when it works. */
  problem: Promise<string | undefined>;
  /** When it is tried again: whoever administers the node may have changed meanwhile what was in the way. */
  keptUntil: number;
  keptMs: number;
}

/** How long a problem is kept for; each time it is found again twice as long. */
const firstKeptMs = 15_000;
const mostKeptMs = 600_000;

const mapping = { containerID: 0, hostID: 65_536, size: 65_536 };
const users: UserMappings = { uids: [mapping], gids: [mapping], root: { uid: mapping.hostID, gid: mapping.hostID } };

/** Process 1 of a PID namespace, in a /proc of that namespace. */
const isFirst = 'read -r pid rest < /proc/self/stat && [ "$pid" = 1 ]';

/**
 * Whether pods can have a user namespace of their own. It takes kernel, file system of the images, OCI runtime and, in a container, its masks together,
 * so it is tried out for each OCI runtime: once when it works, else now and then.
 */
export class UserNamespaceSupport {
  readonly #outcomes = new Map<string, Outcome>();
  readonly #lock = new KeyedLock();

  constructor(private readonly deps: UserNamespaceSupportDeps) {}

  /** What is in the way with a handler's OCI runtime; undefined when it works. Only the first answer waits for a try. */
  problem(handler: string): Promise<string | undefined> {
    const { runtimes, clock } = this.deps;
    const { program } = runtimes.get(handler);
    const known = this.#outcomes.get(program);
    if (!known) return this.#note(program, this.#tryOut(handler), firstKeptMs);
    if (clock.now() >= known.keptUntil) {
      known.keptUntil = Infinity;
      const keptMs = Math.min(2 * known.keptMs, mostKeptMs);
      void this.#tryOut(handler).then(problem => this.#note(program, Promise.resolve(problem), keptMs));
    }
    return known.problem;
  }

  #note(program: string, problem: Outcome['problem'], keptMs: number): Outcome['problem'] {
    const outcome: Outcome = { problem, keptUntil: Infinity, keptMs };
    this.#outcomes.set(program, outcome);
    void problem.then(text => {
      if (text !== undefined) outcome.keptUntil = this.deps.clock.now() + keptMs;
    });
    return problem;
  }

  /** Throws BadRequest with what is in the way. */
  async check(handler: string): Promise<void> {
    const problem = await this.problem(handler);
    if (problem !== undefined)
      throw new StatusError('BadRequest', `user namespaces are not supported on this node: ${problem}`);
  }

  async #tryOut(handler: string): Promise<string | undefined> {
    try {
      await this.#run(handler).catch(async () => {
        // One after the other: handlers are tried out side by side.
        await this.#lock.run('uncover', () => this.#uncover());
        await this.#run(handler);
      });
      return undefined;
    } catch (err) {
      this.deps.logger.warn({ err, handler }, 'pods cannot have user namespaces');
      return (err as Error).message;
    }
  }

  async #run(handler: string): Promise<void> {
    const { runtimes, root, state, imageLayers, cgroupParent } = this.deps;
    const id = `user-probe-${randomBytes(6).toString('hex')}`;
    const disk = path.join(root, id);
    const memory = path.join(state, 'probe', id);
    const namespaces = new SandboxNamespaces(path.join(memory, 'ns'));
    const rootfs = path.join(memory, 'rootfs');
    const [upper, work] = [path.join(disk, 'upper'), path.join(disk, 'work')];
    try {
      for (const place of [rootfs, upper, work]) fs.mkdirSync(place, { recursive: true, mode: 0o711 });
      fs.mkdirSync(path.join(upper, 'dev'));
      for (const place of [upper, path.join(upper, 'dev')]) fs.chownSync(place, users.root.uid, users.root.gid);
      await namespaces.create({ network: true, ipc: true, users, hostname: id, sysctls: [] }, imageLayers);
      await mountOverlay(rootfs, `lowerdir=.,upperdir=${upper},workdir=${work}`, namespaces.layers);
      await probe(runtimes.get(handler), path.join(state, 'probe'), cgroupParent, {
        rootfs,
        script: isFirst,
        mounts: [{ destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] }],
        uidMappings: users.uids,
        gidMappings: users.gids,
        namespaces: [
          { type: 'user', path: namespaces.user },
          { type: 'network', path: namespaces.network },
          { type: 'ipc', path: namespaces.ipc },
        ],
      });
    } finally {
      await unmount(rootfs);
      await namespaces.remove();
      for (const place of [disk, memory]) fs.rmSync(place, { recursive: true, force: true });
    }
  }

  /**
   * The kernel lets a user namespace mount /proc and /sys only where both can be seen whole already; Docker hides parts of them. So that a node in a container
   * can have such pods, they are mounted once more, where only root of the node looks. Source: mount_too_revealing() in fs/namespace.c.
   */
  async #uncover(): Promise<void> {
    const directory = path.join(this.deps.state, 'uncovered');
    for (const [name, type] of [
      ['proc', 'proc'],
      ['sys', 'sysfs'],
    ] as const) {
      const place = path.join(directory, name);
      fs.mkdirSync(place, { recursive: true, mode: 0o700 });
      await unmount(place);
      await runSteps('mount', [mount(type, place, { type, flags: ['nosuid', 'nodev', 'noexec'] })]);
    }
  }
}
