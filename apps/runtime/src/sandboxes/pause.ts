import fs from 'node:fs';
import path from 'node:path';
import { StatusError } from '@naru/foundation';
import { readPidFile } from '../oci/conmon';
import type { OciRuntime } from '../oci/oci-runtime';
import type { ContainerCgroup } from '../process/container-cgroup';
import { mountIdmapped } from '../process/idmapped-mounts';
import { unmount } from '../process/mounts';
import { isRunning, signalProcess, type ProcessIdentity } from '../process/process-identity';
import type { OciSpec } from '../spec/oci-types';

const places = ['/usr/bin/catatonit', '/usr/libexec/podman/catatonit', '/usr/libexec/catatonit/catatonit'];

/**
 * Process 1 of a PID namespace that the containers of a pod share: it reaps orphans. It runs as a container of its own, with an empty
 * root and no capabilities, so that root in the pod's containers finds nothing of the node behind /proc/1/root.
 */
export class PauseProcesses {
  constructor(private readonly deps: { runtime: OciRuntime; root: string; state: string }) {}

  #rootfs(): string {
    const program = places.find(file => fs.existsSync(file));
    if (program === undefined) {
      throw new StatusError(
        'ServiceUnavailable',
        'a shared PID namespace needs the program catatonit, which is not installed',
      );
    }
    const rootfs = path.join(this.deps.root, 'pause');
    const target = path.join(rootfs, 'pause');
    if (!fs.existsSync(target)) {
      for (const place of ['proc', 'dev']) fs.mkdirSync(path.join(rootfs, place), { recursive: true });
      fs.copyFileSync(program, `${target}.new`);
      fs.chmodSync(`${target}.new`, 0o755);
      fs.renameSync(`${target}.new`, target);
    }
    return rootfs;
  }

  /** The same, where root of a user namespace can get to it; attached only while the process is started. */
  async #rootfsOf(userNamespace: string, bundle: string): Promise<string> {
    const target = path.join(bundle, 'rootfs');
    fs.mkdirSync(target, { recursive: true });
    await mountIdmapped(userNamespace, [{ source: this.#rootfs(), target, recursive: false }]);
    return target;
  }

  /** Starts it in the given namespaces and in a PID namespace of its own. */
  async start(
    id: string,
    request: { cgroup: ContainerCgroup; linux: Pick<OciSpec['linux'], 'namespaces' | 'uidMappings' | 'gidMappings'> },
  ): Promise<ProcessIdentity> {
    const bundle = path.join(this.deps.state, 'sandboxes', id, 'pause');
    fs.mkdirSync(bundle, { recursive: true });
    const users = request.linux.namespaces.find(({ type }) => type === 'user')?.path;
    const rootfs = users === undefined ? this.#rootfs() : await this.#rootfsOf(users, bundle);
    const none: string[] = [];
    const spec: OciSpec = {
      ociVersion: '1.0.2',
      process: {
        terminal: false,
        user: { uid: 65535, gid: 65535 },
        args: ['/pause', '-P'],
        env: ['PATH=/'],
        cwd: '/',
        capabilities: { bounding: none, effective: none, permitted: none, inheritable: none, ambient: none },
        noNewPrivileges: true,
      },
      root: { path: rootfs, readonly: true },
      mounts: [
        { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
        { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=64k'] },
      ],
      linux: {
        ...request.linux,
        namespaces: [{ type: 'mount' }, { type: 'pid' }, ...request.linux.namespaces],
        devices: [],
        cgroupsPath: request.cgroup.oci,
        resources: {},
      },
    };
    fs.writeFileSync(path.join(bundle, 'config.json'), JSON.stringify(spec));
    const pidFile = path.join(bundle, 'pid');
    try {
      await this.deps.runtime.runDetached(id, bundle, pidFile, request.cgroup.bySystemd);
    } finally {
      if (users !== undefined) await unmount(rootfs);
    }
    const identity = readPidFile(pidFile);
    if (!identity) throw new StatusError('InternalError', 'the pause process has ended at once');
    return identity;
  }

  async stop(id: string, identity: ProcessIdentity | undefined, cgroup: string): Promise<void> {
    if (identity) {
      signalProcess(identity, 'SIGKILL');
      const deadline = Date.now() + 10_000;
      // Nobody tells us of the end of a process that is not our child; it comes within a millisecond or two.
      while (isRunning(identity) && Date.now() < deadline) await new Promise(resolve => setTimeout(resolve, 2));
    }
    await this.deps.runtime.delete(id, cgroup);
  }
}
