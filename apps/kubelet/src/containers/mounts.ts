import fs from 'node:fs';
import path from 'node:path';
import type { Container, Pod } from '@naru/api';
import { cri } from '@naru/proto';
import type { PodPaths } from '../pods/pod-paths';
import { mountSubPath } from '../volumes/sub-path';
import { ContainerConfigError } from './config-error';
import { expand } from './expand';

type VolumeMount = NonNullable<Container['volumeMounts']>[number];

export interface MountsInput {
  pod: Pod;
  container: Container;
  attempt: number;
  /** Volume name → path on the node. */
  volumes: ReadonlyMap<string, string>;
  /** Volume name → what the runtime calls the image that it consists of. */
  images: ReadonlyMap<string, string>;
  env: ReadonlyMap<string, string>;
  paths: PodPaths;
  /** The runtime can make read-only hold for what is mounted below a volume; asked only where a mount wants it. */
  canRecursiveReadOnly: () => Promise<boolean>;
}

const propagations: Record<string, cri.MountPropagation> = {
  HostToContainer: cri.MountPropagation.PROPAGATION_HOST_TO_CONTAINER,
  Bidirectional: cri.MountPropagation.PROPAGATION_BIDIRECTIONAL,
};

function subPathOf(mount: VolumeMount, env: MountsInput['env']): string {
  const subPath = mount.subPathExpr ? expand(mount.subPathExpr, name => env.get(name)) : mount.subPath;
  if (mount.subPathExpr && subPath?.includes('$(')) {
    throw new ContainerConfigError(`missing value for ${mount.subPathExpr}`);
  }
  return subPath ?? '';
}

async function hostPathOf(mount: VolumeMount, index: number, volume: string, input: MountsInput): Promise<string> {
  const { env, paths, pod, container } = input;
  const subPath = subPathOf(mount, env);
  if (!subPath) return volume;
  const target = paths.subPath(pod.metadata?.uid ?? '', mount.name, container.name, index);
  try {
    await mountSubPath(volume, subPath, target);
  } catch (cause) {
    const message = `failed to prepare subPath for volumeMount "${mount.name}" of container "${container.name}"`;
    throw new ContainerConfigError(`${message}: ${(cause as Error).message}`, { cause });
  }
  return target;
}

function terminationMessageFile(input: MountsInput): string {
  const file = input.paths.terminationMessage(input.pod.metadata?.uid ?? '', input.container.name, input.attempt);
  fs.mkdirSync(path.dirname(file), { recursive: true, mode: 0o750 });
  fs.writeFileSync(file, '');
  // Any user of the container may write its last words, whatever our umask.
  fs.chmodSync(file, 0o666);
  return file;
}

/** All mounts of a container: its volumes, /etc/hosts and the file for its termination message. */
export async function containerMounts(input: MountsInput): Promise<cri.Mount[]> {
  const { container, pod, paths } = input;
  const mounts: Partial<cri.Mount>[] = [];
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const image = input.images.get(mount.name);
    if (image !== undefined) {
      mounts.push({
        containerPath: path.posix.resolve('/', mount.mountPath),
        image: cri.ImageSpec.fromPartial({ image }),
        imageSubPath: subPathOf(mount, input.env),
        readonly: true,
      });
      continue;
    }
    const volume = input.volumes.get(mount.name);
    if (volume === undefined) throw new ContainerConfigError(`cannot find volume "${mount.name}" to mount`);
    mounts.push({
      containerPath: path.posix.resolve('/', mount.mountPath),
      hostPath: await hostPathOf(mount, index, volume, input),
      readonly: mount.readOnly ?? false,
      propagation: propagations[mount.mountPropagation ?? ''] ?? cri.MountPropagation.PROPAGATION_PRIVATE,
      recursiveReadOnly: await isRecursiveReadOnly(mount, input),
    });
  }
  if (!mounts.some(({ containerPath }) => containerPath === '/etc/hosts')) {
    mounts.push({ containerPath: '/etc/hosts', hostPath: paths.hosts(pod.metadata?.uid ?? '') });
  }
  mounts.push({
    containerPath: container.terminationMessagePath || '/dev/termination-log',
    hostPath: terminationMessageFile(input),
  });
  return mounts.map(mount => cri.Mount.fromPartial(mount));
}

/** Source: pkg/kubelet resolveRecursiveReadOnly. */
async function isRecursiveReadOnly(mount: VolumeMount, input: MountsInput): Promise<boolean> {
  const { name, readOnly, recursiveReadOnly: wanted = 'Disabled' } = mount;
  if (!readOnly || wanted === 'Disabled') return false;
  const can = await input.canRecursiveReadOnly();
  if (wanted === 'Enabled' && !can) {
    const why = `volume "${name}" requested recursive read-only mode, but it is not supported by the runtime`;
    throw new ContainerConfigError(`failed to resolve recursive read-only mode: ${why}`);
  }
  return can;
}

/** The devices of a container: its block volumes. */
export function containerDevices({ container, volumes }: Pick<MountsInput, 'container' | 'volumes'>): cri.Device[] {
  return (container.volumeDevices ?? []).map(({ name, devicePath }) => {
    const hostPath = volumes.get(name);
    if (hostPath === undefined) throw new ContainerConfigError(`cannot find volume "${name}" to pass into container`);
    return { containerPath: devicePath, hostPath, permissions: 'mrw' };
  });
}
