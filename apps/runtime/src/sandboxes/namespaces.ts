import fs from 'node:fs';
import path from 'node:path';
import { runCommand } from '../process/run-command';
import { unmount } from '../process/mounts';

const nsfsMagic = 0x6e736673;

/** Which namespaces a sandbox has to itself, and how they are to be set up. */
export interface NamespaceRequest {
  network: boolean;
  ipc: boolean;
  /** With its own network comes its own host name. */
  hostname: string;
  sysctls: [file: string, value: string][];
}

/** The pinned namespaces of one sandbox: files that keep a namespace alive without a process in it. */
export class SandboxNamespaces {
  readonly network: string;
  readonly ipc: string;
  readonly uts: string;
  /** The pod's /dev/shm: a tmpfs that its containers share. */
  readonly shm: string;

  constructor(readonly directory: string) {
    this.network = path.join(directory, 'net');
    this.ipc = path.join(directory, 'ipc');
    this.uts = path.join(directory, 'uts');
    this.shm = path.join(directory, 'shm');
  }

  /**
   * Makes the namespaces and enters them once, with a single shell, to set the host name, raise the loopback interface, write kernel
   * parameters and mount the shared memory. Starting further processes would be most of the cost.
   */
  async create(request: NamespaceRequest): Promise<void> {
    fs.mkdirSync(this.directory, { recursive: true, mode: 0o711 });
    const flags: string[] = [];
    const pin = (flag: string, file: string): void => {
      fs.writeFileSync(file, '');
      flags.push(`--${flag}=${file}`);
    };
    let script = 'set -e\n';
    if (request.network) {
      pin('net', this.network);
      pin('uts', this.uts);
      script += 'echo "$1" > /proc/sys/kernel/hostname\nip link set lo up\n';
    }
    if (request.ipc) {
      pin('ipc', this.ipc);
      fs.mkdirSync(this.shm, { mode: 0o711 });
      script += 'mount -t tmpfs -o nosuid,nodev,noexec,mode=1777,size=65536k shm "$2"\n';
    }
    if (flags.length === 0) return;
    script += 'shift 2\nwhile [ $# -gt 0 ]; do echo "$2" > "$1"; shift 2; done\n';
    await runCommand('unshare', [
      ...flags,
      'sh',
      '-c',
      script,
      'sh',
      request.hostname,
      this.shm,
      ...request.sysctls.flat(),
    ]);
  }

  /** True while what `create` made for such a request is still there: it is not after a restart of the machine or node. */
  isIntact(request: { network: boolean; ipc: boolean }): boolean {
    if (!fs.existsSync(this.directory)) return false;
    const pinned = (file: string): boolean => {
      try {
        return fs.statfsSync(file).type === nsfsMagic;
      } catch {
        return false;
      }
    };
    return (!request.network || (pinned(this.network) && pinned(this.uts))) && (!request.ipc || pinned(this.ipc));
  }

  /** Lets the namespaces go; they end with their last process. */
  async remove(): Promise<void> {
    if (!fs.existsSync(this.directory)) return;
    await unmount(this.network, this.ipc, this.uts, this.shm);
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}
