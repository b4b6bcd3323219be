import { StatusError } from '@naru/foundation';
import type { CdiDeviceNode, ContainerEdits } from './cdi-file';
import { deviceAt, deviceMounts, ociDevices, type NodeDevice } from './devices';
import { byDepth, type SpecMount } from './mounts';
import type { OciHooks, OciSpec } from './oci-types';

const isBind = (option: string): boolean => option === 'bind' || option === 'rbind';

/**
 * Changes a container as its devices ask for, in place, and answers with its mounts. Where the same variable, device or place was there, the
 * device's own takes it. Source: pkg/cdi/container-edits.go, Apply. @throws BadRequest for what cannot be
 */
export function applyEdits(
  spec: OciSpec,
  mounts: readonly SpecMount[],
  edits: readonly ContainerEdits[],
): readonly SpecMount[] {
  if (edits.length === 0) return mounts;
  if (edits.some(({ netDevices = [] }) => netDevices.length > 0)) {
    const why = 'the OCI runtime cannot move network devices into containers (OCI specification 1.3)';
    throw new StatusError('BadRequest', `CDI device injection failed: ${why}`);
  }
  setVariables(
    spec,
    edits.flatMap(({ env = [] }) => env),
  );
  const devices = edits.flatMap(({ deviceNodes = [] }) => deviceNodes).map(node => addDevice(spec, node));
  const hasUsers = spec.linux.namespaces.some(({ type }) => type === 'user');
  if (hasUsers) spec.linux.devices = [];
  addHooks(spec, edits);
  for (const { intelRdt } of edits) if (intelRdt) spec.linux.intelRdt = intelRdt;
  const groups = edits.flatMap(({ additionalGids = [] }) => additionalGids).filter(id => id !== 0);
  if (groups.length > 0)
    spec.process.user.additionalGids = [...new Set([...(spec.process.user.additionalGids ?? []), ...groups])];
  const added = [...(hasUsers ? deviceMounts(devices) : []), ...edits.flatMap(each => mountsOf(each, hasUsers))];
  const taken = new Set(added.map(({ destination }) => destination));
  const others = mounts.filter(({ destination }) => !taken.has(destination));
  return added.length === 0 ? mounts : byDepth([...others, ...added]);
}

function setVariables({ process }: OciSpec, variables: readonly string[]): void {
  const keyOf = (variable: string): string => variable.slice(0, variable.indexOf('='));
  const merged = new Map([...process.env, ...variables].map(each => [keyOf(each), each]));
  process.env = [...merged.values()];
}

/** Source: pkg/cdi/container-edits_unix.go, fillMissingInfo. */
function addDevice({ linux, process }: OciSpec, node: CdiDeviceNode): NodeDevice {
  const { path, hostPath = path, type, permissions, fileMode } = node;
  const { uid: ownUid, gid: ownGid } = process.user;
  const own = { ...(ownUid > 0 ? { uid: ownUid } : {}), ...(ownGid > 0 ? { gid: ownGid } : {}) };
  const given = {
    ...(fileMode === undefined ? {} : { fileMode }),
    uid: node.uid ?? own.uid ?? 0,
    gid: node.gid ?? own.gid ?? 0,
  };
  let device: NodeDevice;
  if (type && (node.major || type === 'p')) {
    device = { hostPath, path, type, major: node.major ?? 0, minor: node.minor ?? 0, ...given };
  } else {
    const found = deviceAt(hostPath, path);
    if (!found) throw new StatusError('BadRequest', `CDI device injection failed: ${hostPath} is no device`);
    if (type && type !== found.type)
      throw new StatusError(
        'BadRequest',
        `CDI device injection failed: CDI device ("${path}", "${hostPath}"), host type mismatch (${type}, ${found.type})`,
      );
    device = { ...found, ...given };
  }
  linux.devices = [...linux.devices.filter(each => each.path !== path), ...ociDevices([device])];
  const { type: kind, major, minor } = device;
  if ((kind === 'b' || kind === 'c') && permissions !== 'none')
    (linux.resources.devices ??= []).push({ allow: true, type: kind, major, minor, access: permissions || 'rwm' });
  return device;
}

function addHooks(spec: OciSpec, edits: readonly ContainerEdits[]): void {
  const hooks: OciHooks = {};
  for (const { hookName, ...hook } of edits.flatMap(each => each.hooks ?? [])) (hooks[hookName] ??= []).push(hook);
  if (Object.keys(hooks).length > 0) spec.hooks = hooks;
}

function mountsOf({ mounts = [] }: ContainerEdits, hasUsers: boolean): SpecMount[] {
  return mounts.map(({ hostPath, containerPath, options = [], type }) => {
    const bound = !type || type === 'bind' || options.some(isBind);
    return {
      destination: containerPath,
      type: type || 'bind',
      source: hostPath,
      options: bound && !options.some(isBind) ? ['rbind', ...options] : options,
      ...(hasUsers && bound ? { idmapped: true as const } : {}),
    };
  });
}
