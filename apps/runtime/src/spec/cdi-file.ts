import fs from 'node:fs';
import type { OciHook } from './oci-types';

/** A device node as the container is to have it; what is left out is as on the node. */
export interface CdiDeviceNode {
  path: string;
  /** Where the node has it, if elsewhere. */
  hostPath?: string;
  type?: 'b' | 'c' | 'u' | 'p';
  major?: number;
  minor?: number;
  fileMode?: number;
  /** What the container may do with it: of "rwm", or "none". */
  permissions?: string;
  uid?: number;
  gid?: number;
}

/** What a device needs of a container. Source: the Container Device Interface, SPEC.md and specs-go/config.go. */
export interface ContainerEdits {
  env?: string[];
  deviceNodes?: CdiDeviceNode[];
  netDevices?: { hostInterfaceName: string; name: string }[];
  hooks?: (OciHook & { hookName: string })[];
  mounts?: { hostPath: string; containerPath: string; options?: string[]; type?: string }[];
  intelRdt?: object;
  additionalGids?: number[];
}

export interface CdiFile {
  cdiVersion: string;
  /** VENDOR/CLASS */
  kind: string;
  devices: { name: string; containerEdits: ContainerEdits }[];
  /** For every container that has one of the devices. */
  containerEdits?: ContainerEdits;
}

const maxBytes = 1 << 20;
const versions = /^(0\.[3-8]|1\.[01])\.0$/;
const kinds = /^[A-Za-z]([\w.-]*[A-Za-z0-9])?\/[A-Za-z]([\w-]*[A-Za-z0-9])?$/;
const deviceNames = /^[A-Za-z0-9]([\w.:-]*[A-Za-z0-9])?$/;
const hookNames = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'];
const deviceTypes = ['b', 'c', 'u', 'p'];

/** @throws Error that says what is wrong with the file */
export async function readCdiFile(file: string): Promise<CdiFile> {
  const stat = fs.statSync(file);
  // Whoever opens a pipe waits for its other end.
  if (!stat.isFile()) throw new Error('is no regular file');
  if (stat.size > maxBytes) throw new Error(`is larger than ${maxBytes} bytes`);
  const text = fs.readFileSync(file, 'utf8');
  const content: unknown = file.endsWith('.json') ? JSON.parse(text) : (await import('yaml')).parse(text);
  if (content === null || typeof content !== 'object') throw new Error('is empty');
  return validated(content as Partial<CdiFile>);
}

function validated({ cdiVersion = '', kind = '', devices = [], containerEdits }: Partial<CdiFile>): CdiFile {
  if (!versions.test(cdiVersion)) throw new Error(`unknown cdiVersion "${cdiVersion}"`);
  if (!kinds.test(kind)) throw new Error(`invalid kind "${kind}": must be VENDOR/CLASS`);
  if (devices.length === 0) throw new Error('invalid spec, no devices');
  const names = new Set<string>();
  for (const { name, containerEdits: edits } of devices) {
    if (!deviceNames.test(name)) throw new Error(`invalid device name "${name}"`);
    if (names.has(name)) throw new Error(`invalid spec, multiple device "${name}"`);
    names.add(name);
    if (Object.values(edits ?? {}).length === 0) throw new Error(`invalid device "${name}", empty device edits`);
    checkEdits(edits);
  }
  checkEdits(containerEdits ?? {});
  return { cdiVersion, kind, devices, ...(containerEdits ? { containerEdits } : {}) };
}

/** Source: pkg/cdi/container-edits.go, Validate. */
function checkEdits({ env = [], deviceNodes = [], hooks = [], mounts = [], netDevices = [] }: ContainerEdits): void {
  checkEnv(env);
  for (const { path, type, major = 0, minor = 0, permissions = '' } of deviceNodes) {
    if (!path) throw new Error('invalid (empty) device path');
    if (type !== undefined && !deviceTypes.includes(type)) throw new Error(`device "${path}": invalid type "${type}"`);
    if (major < 0 || minor < 0) throw new Error(`device "${path}": invalid (negative) device number ${major}:${minor}`);
    if (permissions !== 'none' && !/^[rwm]*$/.test(permissions))
      throw new Error(`device "${path}": invalid permissions "${permissions}"`);
  }
  for (const hook of hooks) {
    if (!hookNames.includes(hook.hookName)) throw new Error(`invalid hook name "${hook.hookName}"`);
    if (!hook.path) throw new Error(`invalid hook "${hook.hookName}" with empty path`);
    checkEnv(hook.env ?? []);
  }
  for (const { hostPath, containerPath } of mounts)
    if (!hostPath || !containerPath) throw new Error(`invalid mount, empty ${hostPath ? 'container' : 'host'} path`);
  const taken = new Set<string>();
  for (const { hostInterfaceName, name } of netDevices) {
    if (!hostInterfaceName || !name) throw new Error('invalid linux net device, empty name');
    for (const each of [`host ${hostInterfaceName}`, `container ${name}`]) {
      if (taken.has(each)) throw new Error(`invalid linux net device, duplicate name in ${each}`);
      taken.add(each);
    }
  }
}

function checkEnv(env: readonly string[]): void {
  for (const each of env) if (each.indexOf('=') <= 0) throw new Error(`invalid environment variable "${each}"`);
}
