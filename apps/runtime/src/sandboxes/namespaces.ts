import fs from 'node:fs';
import path from 'node:path';
import { mountIdmapped } from '../process/idmapped-mounts';
import { runCommand, runSteps } from '../process/run-command';
import { unmount } from '../process/mounts';
import { mount, namespaceFlags, unshare, type Step } from '../process/steps';
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

/**
 * A process in new namespaces waits while its ids are mapped and its namespaces pinned, both from outside, where the rights for it are.
 */
const createOwned = `set -e
cd "$1"; uids=$2; gids=$3
mkfifo go
unshare --user --net --uts --ipc sh -c 'echo $$; exec >&-; read _ < go; true' | {
  read -r pid
  exec 3> go
  printf '%s' "$uids" > /proc/$pid/uid_map
  printf '%s' "$gids" > /proc/$pid/gid_map
  for each in user net uts ipc; do mount --bind /proc/$pid/ns/$each $each; done
}
rm go
`;

/**
 * The plugins give out each IPv6 address once, and nobody else is on a pod's link: to wait for somebody who has it already
 * would keep the pod from its first packets for a second or two, and the plugins with it.
 */
function prepareNetwork(): Step[] {
  const patience: Step[] = fs.existsSync('/proc/sys/net/ipv6')
    ? [['write', '/proc/sys/net/ipv6/conf/default/accept_dad', '0\n']]
    : [];
  return [...patience, ['raise', 'lo']];
}

function setHostname(name: string): Step {
  return ['write', '/proc/sys/kernel/hostname', `${name}\n`];
}

function writeSysctls(sysctls: NamespaceRequest['sysctls']): Step[] {
  return sysctls.map(([file, value]) => ['write', file, `${value}\n`]);
}

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

  /** A process enters the new namespaces, pins them and sets them up, all by system calls of its own: programs would be most of the cost. */
  async #create(request: NamespaceRequest): Promise<void> {
    const flags: number[] = [];
    const steps: Step[] = [];
    const pin = (name: keyof typeof namespaceFlags, file: string): void => {
      fs.writeFileSync(file, '');
      flags.push(namespaceFlags[name]);
      steps.push(mount(`/proc/self/ns/${name}`, file, { flags: ['bind'] }));
    };
    if (request.network) {
      pin('net', this.network);
      pin('uts', this.uts);
      steps.push(setHostname(request.hostname), ...prepareNetwork());
    }
    if (request.ipc) {
      pin('ipc', this.ipc);
      fs.mkdirSync(this.shm, { mode: 0o711 });
      steps.push(this.#mountShm(''));
    }
    if (flags.length === 0) return;
    await runSteps('namespaces', [unshare(flags), ...steps, ...writeSysctls(request.sysctls)]);
  }

  #mountShm(owner: string): Step {
    const data = `mode=1777,size=65536k${owner}`;
    return mount('shm', this.shm, { type: 'tmpfs', flags: ['nosuid', 'nodev', 'noexec'], data });
  }

  async #createOwned(request: NamespaceRequest, users: UserMappings, imageLayers: string): Promise<void> {
    for (const name of pinnable) fs.writeFileSync(path.join(this.directory, name), '');
    for (const place of [this.shm, this.layers]) fs.mkdirSync(place, { mode: 0o711 });
    const map = (mappings: UserMappings['uids']): string =>
      mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('');
    await runCommand('sh', ['-c', createOwned, 'sh', this.directory, map(users.uids), map(users.gids)]);
    // The host name belongs to the node's root, network and IPC to the pod's.
    await runSteps('host name', [['enter', this.uts], setHostname(request.hostname)]);
    const enter: Step[] = [['enter', this.user], ['enter', this.network, this.ipc], ['root']];
    await runSteps('namespaces', [...enter, ...prepareNetwork(), ...writeSysctls(request.sysctls)]);
    const { uid, gid } = users.root;
    await runSteps('mount', [this.#mountShm(`,uid=${uid},gid=${gid}`)]);
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
