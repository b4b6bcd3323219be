import path from 'node:path';
import { cri } from '@naru/proto';
import { StatusError } from '@naru/foundation';
import fs from 'node:fs';
import type { Cgroups } from '../process/cgroups';
import type { ContainerCgroup } from '../process/container-cgroup';
import type { ImageConfig } from '../images/manifest';
import { containerCapabilities } from './capabilities';
import { allDevices, deviceMounts, ociDevices, requestedDevices } from './devices';
import { bind, orderMounts, rootfsPropagation, systemMounts, volumeMount, type SpecMount } from './mounts';
import type { UserMappings } from '../sandboxes/user-namespace';
import type { OciLinux, OciMount, OciSeccomp, OciSpec } from './oci-types';
import { clampOomScore, ociResources } from './resources';
import { defaultSeccomp } from './seccomp';
import { homeOf, resolveUser, type ProcessUser } from './users';

/** What a container takes from its sandbox: pinned namespaces (undefined: the node's own) and files. */
export interface SandboxParts {
  network: string | undefined;
  uts: string | undefined;
  ipc: string | undefined;
  /** Of the pod, or of a target container. Undefined: see `hostPid`. */
  pid: string | undefined;
  hostPid: boolean;
  /** The pod's user namespace, which owns the others, and the layers of images with its ids. Undefined: the node's own. */
  users: (UserMappings & { path: string; layers: string }) | undefined;
  shm: string;
  hostname: string;
  /** Mounted on /etc/hosts, /etc/hostname and /etc/resolv.conf unless the kubelet mounts something there. */
  etc: { hosts: string; hostname: string; resolvConf: string };
}

export interface SpecRequest {
  config: cri.ContainerConfig;
  image: ImageConfig;
  rootfs: string;
  cgroup: ContainerCgroup;
  sandbox: SandboxParts;
  /** Volumes whose source is an image, as places on the node. */
  imageMounts: OciMount[];
  node: { cgroups: Cgroups; boundingSet: readonly string[]; recursiveReadOnly: boolean };
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function processArguments(config: cri.ContainerConfig, image: ImageConfig): string[] {
  const entrypoint = image.config?.Entrypoint ?? [];
  const command = image.config?.Cmd ?? [];
  // A command replaces both; arguments alone replace the image's command.
  const args =
    config.command.length > 0
      ? [...config.command, ...config.args]
      : [...entrypoint, ...(config.args.length > 0 ? config.args : command)];
  if (args.length === 0)
    throw new StatusError('BadRequest', 'no command specified: neither the container nor its image has one');
  return args;
}

function environment(config: cri.ContainerConfig, image: ImageConfig, home: string, hostname: string): string[] {
  const variables = new Map<string, string>([['PATH', defaultPath]]);
  if (hostname) variables.set('HOSTNAME', hostname);
  if (config.tty) variables.set('TERM', 'xterm');
  for (const entry of image.config?.Env ?? []) {
    const at = entry.indexOf('=');
    if (at > 0) variables.set(entry.slice(0, at), entry.slice(at + 1));
  }
  for (const { key, value } of config.envs) variables.set(key, value);
  if (!variables.has('HOME')) variables.set('HOME', home);
  return [...variables].map(([key, value]) => `${key}=${value}`);
}

/** Who the container's process is, from the security context, else from the image. Throws BadRequest for unknown names. */
export function containerUser(config: cri.ContainerConfig, image: ImageConfig, rootfs: string): ProcessUser {
  const context = config.linux?.securityContext;
  const wanted = context?.runAsUser ? String(context.runAsUser.value) : (context?.runAsUsername ?? '');
  const group = context?.runAsGroup ? String(context.runAsGroup.value) : '';
  if (group !== '' && wanted === '')
    throw new StatusError('BadRequest', 'run_as_group is set without run_as_user or run_as_username');
  const user =
    wanted === ''
      ? resolveUser(rootfs, image.config?.User ?? '')
      : resolveUser(rootfs, group === '' ? wanted : `${wanted}:${group}`);
  const requested = (context?.supplementalGroups ?? []).map(Number);
  const strict = context?.supplementalGroupsPolicy === cri.SupplementalGroupsPolicy.Strict;
  // The primary group is one of the supplementary ones, as with other runtimes: a set-group-id program must not lose it.
  return { ...user, additionalGids: [...new Set([user.gid, ...(strict ? [] : user.additionalGids), ...requested])] };
}

function seccompProfile(
  context: cri.LinuxContainerSecurityContext | undefined,
  capabilities: readonly string[],
): OciSeccomp | undefined {
  if (!context?.seccomp || context.privileged) return undefined;
  switch (context.seccomp.profileType) {
    case cri.SecurityProfile_ProfileType.RuntimeDefault:
      return defaultSeccomp(capabilities);
    case cri.SecurityProfile_ProfileType.Localhost:
      try {
        return JSON.parse(fs.readFileSync(context.seccomp.localhostRef, 'utf8')) as OciSeccomp;
      } catch (cause) {
        throw new StatusError(
          'BadRequest',
          `cannot load seccomp profile "${context.seccomp.localhostRef}": ${(cause as Error).message}`,
          { cause },
        );
      }
    default:
      return undefined;
  }
}

function namespaces(sandbox: SandboxParts, cgroups: Cgroups): OciLinux['namespaces'] {
  const list: OciLinux['namespaces'] = [{ type: 'mount' }];
  if (sandbox.users) list.push({ type: 'user', path: sandbox.users.path });
  if (sandbox.network) list.push({ type: 'network', path: sandbox.network });
  if (sandbox.uts) list.push({ type: 'uts', path: sandbox.uts });
  if (sandbox.ipc) list.push({ type: 'ipc', path: sandbox.ipc });
  if (sandbox.pid) list.push({ type: 'pid', path: sandbox.pid });
  else if (!sandbox.hostPid) list.push({ type: 'pid' });
  if (cgroups.version === 2) list.push({ type: 'cgroup' });
  return list;
}

function mounts(request: SpecRequest, devices: SpecMount[]): SpecMount[] {
  const { config, sandbox } = request;
  const privileged = config.linux?.securityContext?.privileged === true;
  const volumes = config.mounts
    .filter(mount => !mount.image?.image)
    .map(mount => volumeMount(mount, request.node.recursiveReadOnly, sandbox.users));
  const etc: SpecMount[] = [
    bind(sandbox.etc.hosts, '/etc/hosts', ['rw', 'rprivate']),
    bind(sandbox.etc.hostname, '/etc/hostname', ['rw', 'rprivate']),
    bind(sandbox.etc.resolvConf, '/etc/resolv.conf', ['rw', 'rprivate']),
  ];
  if (config.linux?.securityContext?.readonlyRootfs) for (const mount of etc) mount.options.push('ro');
  if (sandbox.users) for (const mount of etc) mount.idmapped = true;
  // A new mqueue can only be mounted from inside an IPC namespace of one's own.
  const system = systemMounts({
    privileged,
    hostIpc: sandbox.ipc === undefined,
    shm: sandbox.shm,
    mqueue: sandbox.ipc !== undefined,
  });
  return orderMounts([...system, ...etc, ...devices], [...volumes, ...request.imageMounts]);
}

/** The OCI specification of a container but for its mounts, which are not all as the OCI runtime takes them, and the user that it resolved in the image. */
export function containerSpec(request: SpecRequest): {
  spec: OciSpec;
  mounts: SpecMount[];
  user: ProcessUser;
} {
  const { config, image, rootfs, sandbox, node } = request;
  const context = config.linux?.securityContext;
  const privileged = context?.privileged === true;
  const user = containerUser(config, image, rootfs);
  const capabilities = containerCapabilities({ privileged, capability: context?.capabilities }, node.boundingSet);
  const { devices: requested, rules } = requestedDevices(config.devices);
  const devices = privileged ? [...allDevices(), ...requested] : requested;
  const seccomp = seccompProfile(context, capabilities.bounding);
  const propagation = rootfsPropagation(config.mounts);
  const home = homeOf(rootfs, user.uid);
  const spec: OciSpec = {
    ociVersion: '1.0.2',
    process: {
      terminal: config.tty,
      user,
      args: processArguments(config, image),
      env: environment(config, image, home, sandbox.hostname),
      cwd: path.posix.resolve('/', config.workingDir || image.config?.WorkingDir || '/'),
      capabilities,
      noNewPrivileges: context?.noNewPrivs === true,
      oomScoreAdj: clampOomScore(Number(config.linux?.resources?.oomScoreAdj ?? 0n)),
    },
    root: { path: rootfs, readonly: context?.readonlyRootfs === true },
    mounts: [],
    // crun would have the limits hold for a cgroup of its own below the scope.
    annotations: request.cgroup.bySystemd ? { 'run.oci.systemd.subgroup': '' } : {},
    linux: {
      namespaces: namespaces(sandbox, node.cgroups),
      ...(sandbox.users ? { uidMappings: sandbox.users.uids, gidMappings: sandbox.users.gids } : {}),
      devices: sandbox.users ? [] : ociDevices(devices),
      cgroupsPath: request.cgroup.oci,
      resources: {
        ...ociResources(config.linux?.resources, node.cgroups),
        devices: privileged ? [{ allow: true, access: 'rwm' }] : [{ allow: false, access: 'rwm' }, ...rules],
      },
      ...(propagation ? { rootfsPropagation: propagation } : {}),
      ...(seccomp ? { seccomp } : {}),
      ...(privileged ? {} : { maskedPaths: context?.maskedPaths ?? [], readonlyPaths: context?.readonlyPaths ?? [] }),
    },
  };
  return { spec, mounts: mounts(request, sandbox.users ? deviceMounts(devices) : []), user };
}
