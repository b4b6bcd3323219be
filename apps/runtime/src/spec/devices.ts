import fs from 'node:fs';
import path from 'node:path';
import type { cri } from '@naru/proto';
import { StatusError } from '@naru/foundation';
import { bind, type SpecMount } from './mounts';
import type { OciDevice, OciDeviceRule } from './oci-types';

/** A device as the container is to have it, and where the node has it. */
export interface NodeDevice extends OciDevice {
  hostPath: string;
}

/** As an OCI runtime makes them anew. */
export function ociDevices(devices: readonly NodeDevice[]): OciDevice[] {
  return devices.map(({ hostPath: _, ...device }) => device);
}

/** What OCI runtimes put into every container. Source: opencontainers/runtime-spec, config-linux.md, default devices. */
const given = new Set(['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx'].map(name => `/dev/${name}`));

/**
 * The node's own, for a pod with a user namespace: they still belong to users of the node. crun would make new ones that belong to the root of the pod, and
 * so give it the disks of the node.
 */
export function deviceMounts(devices: readonly NodeDevice[]): SpecMount[] {
  return devices
    .filter(({ path: place }) => !given.has(place))
    .map(({ hostPath, path: place }) => bind(hostPath, place, ['rw', 'rprivate']));
}

/** What the node has there; undefined when it is no device. */
export function deviceAt(hostPath: string, containerPath: string): NodeDevice | undefined {
  const stat = fs.statSync(hostPath, { throwIfNoEntry: false });
  if (!stat || !(stat.isCharacterDevice() || stat.isBlockDevice())) return undefined;
  // The layout of dev_t: glibc's gnu_dev_major and gnu_dev_minor.
  const number = BigInt(stat.rdev);
  const major = Number(((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn));
  const minor = Number((number & 0xffn) | ((number >> 12n) & ~0xffn));
  return {
    hostPath,
    path: containerPath,
    type: stat.isBlockDevice() ? 'b' : 'c',
    major,
    minor,
    fileMode: stat.mode & 0o777,
    uid: stat.uid,
    gid: stat.gid,
  };
}

/** Places that the container has its own of. */
const ownPlaces = new Set([
  '/dev/pts',
  '/dev/shm',
  '/dev/fd',
  '/dev/mqueue',
  '/dev/console',
  '/dev/.udev',
  '/dev/.lxc',
  '/dev/lxd-sock',
]);

function walk(directory: string, found: NodeDevice[]): void {
  for (const entry of fs.readdirSync(directory, { withFileTypes: true })) {
    const file = path.join(directory, entry.name);
    if (ownPlaces.has(file) || entry.isSymbolicLink()) continue;
    if (entry.isDirectory()) walk(file, found);
    else {
      const device = deviceAt(file, file);
      if (device) found.push(device);
    }
  }
}

/** Every device node of the machine, for privileged containers. */
export function allDevices(): NodeDevice[] {
  const found: NodeDevice[] = [];
  walk('/dev', found);
  return found;
}

/** The devices that a container asks for, with the rules that let it use them; a directory stands for the devices in it. */
export function requestedDevices(requests: readonly cri.Device[]): { devices: NodeDevice[]; rules: OciDeviceRule[] } {
  const devices: NodeDevice[] = [];
  const rules: OciDeviceRule[] = [];
  for (const request of requests) {
    const found: NodeDevice[] = [];
    const single = deviceAt(request.hostPath, request.containerPath);
    if (single) found.push(single);
    else if (fs.statSync(request.hostPath, { throwIfNoEntry: false })?.isDirectory()) {
      walk(request.hostPath, found);
      for (const device of found)
        device.path = path.join(request.containerPath, path.relative(request.hostPath, device.path));
    } else throw new StatusError('BadRequest', `${request.hostPath} is no device`);
    devices.push(...found);
    for (const device of found) {
      rules.push({
        allow: true,
        type: device.type === 'b' ? 'b' : 'c',
        major: device.major,
        minor: device.minor,
        access: request.permissions || 'rwm',
      });
    }
  }
  return { devices, rules };
}
