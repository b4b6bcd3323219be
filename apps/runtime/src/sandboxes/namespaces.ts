import fs from 'node:fs';
import path from 'node:path';
import { mountIdmapped } from '../process/idmapped-mounts';
import { runCommand } from '../process/run-command';
import { unmount } from '../process/mounts';
import type { UserMappings } from './user-namespace';

const nsfsMagic = 0x6e736673;

/** Which namespaces a sandbox has to itself, and how they are to be set up. */
export interface NamespaceRequest {
  network: boolean;
  ipc: boolean;
  /** A user namespace, which then owns the others. */
  users: UserMappings | undefined;
  /** With its own network comes its own host name. */
  hostname: string;
  sysctls: [file: string, value: string][];
}

const pinnable = ['net', 'uts', 'ipc', 'user'] as const;

const setHostname = 'echo "$1" > /proc/sys/kernel/hostname\n';
/**
 * The plugins give out each IPv6 address once, and nobody else is on a pod's link: to wait for somebody who has it already
 * would keep the pod from its first packets for a second or two, and the plugins with it.
 */
const prepareNetwork = `if [ -d /proc/sys/net/ipv6 ]; then echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; fi
ip link set lo up
`;
const writeSysctls = 'while [ $# -gt 0 ]; do echo "$2" > "$1"; shift 2; done\n';

/**
 * A process in new namespaces waits while its ids are mapped and its namespaces pinned, both from outside, where the rights for it are. The host name is
 * written as the node's root, to whom that file belongs; the rest as the pod's root, to whom its network and IPC belong.
 */
const createOwned = `set -e
cd "$1"; name=$2; uids=$3; gids=$4; shift 4
mkfifo go
unshare --user --net --uts --ipc sh -c 'echo $$; exec >&-; read _ < go; true' | {
  read -r pid
  exec 3> go
  printf '%s' "$uids" > /proc/$pid/uid_map
  printf '%s' "$gids" > /proc/$pid/gid_map
  for each in user net uts ipc; do mount --bind /proc/$pid/ns/$each $each; done
}
rm go
nsenter --uts=uts sh -c '${setHostname}' sh "$name"
nsenter --user=user --net=net --ipc=ipc sh -c 'set -e; ${prepareNetwork}${writeSysctls}' sh "$@"
`;

/** The pinned namespaces of one sandbox: files that keep a namespace alive without a process in it. */
export class SandboxNamespaces {
  readonly network: string;
  readonly ipc: string;
  readonly uts: string;
  readonly user: string;
  /** The pod's /dev/shm: a tmpfs that its containers share. */
  readonly shm: string;
  /** The layers of all images as the pod's user namespace has them. */
  readonly layers: string;

  constructor(readonly directory: string) {
    this.network = path.join(directory, 'net');
    this.ipc = path.join(directory, 'ipc');
    this.uts = path.join(directory, 'uts');
    this.user = path.join(directory, 'user');
    this.shm = path.join(directory, 'shm');
    this.layers = path.join(directory, 'layers');
  }

  /** Makes the namespaces. `imageLayers` is what a pod with a user namespace sees with its own ids. */
  async create(request: NamespaceRequest, imageLayers: string): Promise<void> {
    fs.mkdirSync(this.directory, { recursive: true, mode: 0o711 });
    if (request.users) await this.#createOwned(request, request.users, imageLayers);
    else await this.#create(request);
  }

  /**
   * Enters the new namespaces once, with a single shell, to set the host name, raise the loopback interface, write kernel parameters and mount the
   * shared memory. Starting further processes would be most of the cost.
   */
  async #create(request: NamespaceRequest): Promise<void> {
    const flags: string[] = [];
    const pin = (flag: string, file: string): void => {
      fs.writeFileSync(file, '');
      flags.push(`--${flag}=${file}`);
    };
    let script = 'set -e\n';
    if (request.network) {
      pin('net', this.network);
      pin('uts', this.uts);
      script += setHostname + prepareNetwork;
    }
    if (request.ipc) {
      pin('ipc', this.ipc);
      fs.mkdirSync(this.shm, { mode: 0o711 });
      script += 'mount -t tmpfs -o nosuid,nodev,noexec,mode=1777,size=65536k shm "$2"\n';
    }
    if (flags.length === 0) return;
    script += `shift 2\n${writeSysctls}`;
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

  async #createOwned(request: NamespaceRequest, users: UserMappings, imageLayers: string): Promise<void> {
    for (const name of pinnable) fs.writeFileSync(path.join(this.directory, name), '');
    for (const place of [this.shm, this.layers]) fs.mkdirSync(place, { mode: 0o711 });
    const map = (mappings: UserMappings['uids']): string =>
      mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');
    await runCommand('sh', [
      ...['-c', createOwned, 'sh', this.directory, request.hostname],
      ...[map(users.uids), map(users.gids), ...request.sysctls.flat()],
    ]);
    const { uid, gid } = users.root;
    const options = `nosuid,nodev,noexec,mode=1777,size=65536k,uid=${uid},gid=${gid}`;
    await runCommand('mount', ['-t', 'tmpfs', '-o', options, 'shm', this.shm]);
    await mountIdmapped(this.user, [{ source: imageLayers, target: this.layers, recursive: false }]);
  }

  /** True while what `create` made for such a request is still there: it is not after a restart of the machine or node. */
  isIntact(request: { network: boolean; ipc: boolean; users: UserMappings | undefined }): boolean {
    if (!fs.existsSync(this.directory)) return false;
    const pinned = (file: string): boolean => {
      try {
        return fs.statfsSync(file).type === nsfsMagic;
      } catch {
        return false;
      }
    };
    return (
      (!request.network || (pinned(this.network) && pinned(this.uts))) &&
      (!request.ipc || pinned(this.ipc)) &&
      (!request.users || pinned(this.user))
    );
  }

  /** Lets the namespaces go; they end with their last process. */
  async remove(): Promise<void> {
    if (!fs.existsSync(this.directory)) return;
    await unmount(this.network, this.ipc, this.uts, this.user, this.shm, this.layers);
    fs.rmSync(this.directory, { recursive: true, force: true });
  }
}
