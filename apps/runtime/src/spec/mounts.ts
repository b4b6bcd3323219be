import fs from 'node:fs';
import path from 'node:path';
import { cri } from '@naru/proto';
import { StatusError } from '@naru/foundation';
import { mountOf } from '../process/mounts';
import type { UserMappings } from '../sandboxes/user-namespace';
import type { OciIdMapping, OciMount } from './oci-types';

/** A mount as the container is to have it; `idmapped`: owned by whom its user namespace takes the owner on the disk for. */
export interface SpecMount extends OciMount {
  idmapped?: true;
}

const privateDevice = ['nosuid', 'noexec', 'nodev'];

/** The filesystems that every container has. */
export function systemMounts(request: {
  privileged: boolean;
  hostIpc: boolean;
  shm: string;
  mqueue: boolean;
}): OciMount[] {
  const writable = request.privileged ? 'rw' : 'ro';
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: privateDevice },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    ...(request.mqueue
      ? [{ destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: privateDevice }]
      : []),
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...privateDevice, writable] },
    {
      destination: '/sys/fs/cgroup',
      type: 'cgroup',
      source: 'cgroup',
      options: [...privateDevice, 'relatime', writable],
    },
    bind(request.hostIpc ? '/dev/shm' : request.shm, '/dev/shm', ['rw', 'rprivate']),
  ];
}

/** Mounts a file or directory of the node. */
export function bind(source: string, destination: string, options: string[]): OciMount {
  return { destination, type: 'bind', source, options: ['rbind', ...options] };
}

const propagations: Record<cri.MountPropagation, string> = {
  [cri.MountPropagation.PROPAGATION_PRIVATE]: 'rprivate',
  [cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER]: 'rslave',
  [cri.MountPropagation.PROPAGATION_BIDIRECTIONAL]: 'rshared',
  [cri.MountPropagation.UNRECOGNIZED]: 'rprivate',
};

/** A volume. Its source must exist; propagation needs a source whose own mount is shared, or at least a slave. Throws BadRequest. */
export function volumeMount(mount: cri.Mount, recursiveReadOnly: boolean, users: UserMappings | undefined): SpecMount {
  if (!fs.existsSync(mount.hostPath))
    throw new StatusError('BadRequest', `failed to mount "${mount.hostPath}": no such file or directory`);
  const idmapped = isIdmapped(mount, users);
  const source = fs.realpathSync(mount.hostPath);
  const on = mount.propagation === cri.MountPropagation.PROPAGATION_PRIVATE ? undefined : mountOf(source);
  if (mount.propagation === cri.MountPropagation.PROPAGATION_BIDIRECTIONAL && !on?.shared) {
    throw new StatusError(
      'BadRequest',
      `path "${mount.hostPath}" is mounted on "${on?.path}" but it is not a shared mount`,
    );
  }
  if (mount.propagation === cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER && !on?.shared && !on?.slave) {
    throw new StatusError(
      'BadRequest',
      `path "${mount.hostPath}" is mounted on "${on?.path}" but it is not a shared or slave mount`,
    );
  }
  if (mount.recursiveReadOnly && !recursiveReadOnly) {
    throw new StatusError('BadRequest', 'recursive read-only mounts are not supported by the OCI runtime');
  }
  const access = mount.readonly ? (mount.recursiveReadOnly ? ['ro', 'rro'] : ['ro']) : ['rw'];
  const made = bind(source, mount.containerPath, [...access, propagations[mount.propagation]]);
  return idmapped ? { ...made, idmapped: true } : made;
}

/** Whether a volume is to have the pod's ids. Throws BadRequest for other ids than the pod's. */
function isIdmapped({ hostPath, uidMappings, gidMappings }: cri.Mount, users: UserMappings | undefined): boolean {
  if (uidMappings.length === 0 && gidMappings.length === 0) return false;
  const same = (mappings: readonly cri.IDMapping[], own: readonly OciIdMapping[] = []): boolean =>
    mappings.length === own.length &&
    mappings.every(({ containerId, hostId, length }, index) => {
      const wanted = own[index];
      return wanted?.containerID === containerId && wanted.hostID === hostId && wanted.size === length;
    });
  if (same(uidMappings, users?.uids) && same(gidMappings, users?.gids)) return true;
  throw new StatusError(
    'BadRequest',
    `the ids of "${hostPath}" can only be mapped as those of the pod's user namespace`,
  );
}

/** How mounts must reach the container's root for its volumes' propagation. */
export function rootfsPropagation(mounts: readonly cri.Mount[]): string | undefined {
  if (mounts.some(mount => mount.propagation === cri.MountPropagation.PROPAGATION_BIDIRECTIONAL)) return 'rshared';
  if (mounts.some(mount => mount.propagation === cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER)) return 'rslave';
  return undefined;
}

/** Volumes in the order of their depth, so that one never hides another that was mounted before; they hide system mounts of the same place. */
export function orderMounts(system: SpecMount[], volumes: SpecMount[]): SpecMount[] {
  const taken = new Set(volumes.map(mount => path.posix.normalize(mount.destination)));
  return [...system.filter(mount => !taken.has(mount.destination)), ...byDepth(volumes)];
}

/** Those of one depth stay in their order. */
export function byDepth(mounts: readonly SpecMount[]): SpecMount[] {
  const depth = (mount: OciMount): number => path.posix.normalize(mount.destination).split('/').filter(Boolean).length;
  return [...mounts].sort((a, b) => depth(a) - depth(b));
}
