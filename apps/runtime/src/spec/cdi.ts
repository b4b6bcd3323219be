import fs from 'node:fs';
import path from 'node:path';
import { StatusError } from '@naru/foundation';
import { cri } from '@naru/proto';
import type { OciHook, OciHooks, OciSpec } from './oci-types';

/** What a device needs of a container. Source: the Container Device Interface, specs-go/config.go. */
interface ContainerEdits {
  env?: string[];
  deviceNodes?: { path: string; hostPath?: string; permissions?: string }[];
  hooks?: (OciHook & { hookName: string })[];
  mounts?: { hostPath: string; containerPath: string; options?: string[] }[];
  additionalGids?: number[];
}

interface CdiSpec {
  /** VENDOR/CLASS */
  kind?: string;
  devices?: { name: string; containerEdits?: ContainerEdits }[];
  /** For every container that has one of the devices. */
  containerEdits?: ContainerEdits;
}

const maxSpecBytes = 1 << 20;

async function readSpec(file: string): Promise<CdiSpec> {
  if (fs.statSync(file).size > maxSpecBytes) throw new Error(`is larger than ${maxSpecBytes} bytes`);
  const text = fs.readFileSync(file, 'utf8');
  if (file.endsWith('.json')) return JSON.parse(text) as CdiSpec;
  const { parse } = await import('yaml');
  return parse(text) as CdiSpec;
}

/** Devices as drivers describe them in files: what is found in a later folder wins. */
export class CdiRegistry {
  constructor(
    private readonly directories: readonly string[],
    private readonly warn: (file: string, err: unknown) => void,
  ) {}

  /** What the named devices, each VENDOR/CLASS=NAME, need of a container. @throws BadRequest for names that no file describes */
  async editsFor(names: readonly string[]): Promise<ContainerEdits[]> {
    if (names.length === 0) return [];
    const edits: ContainerEdits[] = [];
    const missing: string[] = [];
    const used = new Set<CdiSpec>();
    const known = await this.devices();
    for (const name of new Set(names)) {
      const found = known.get(name);
      if (!found) missing.push(name);
      else {
        if (!used.has(found.spec)) edits.push(found.spec.containerEdits ?? {});
        used.add(found.spec);
        edits.push(found.edits);
      }
    }
    if (missing.length > 0)
      throw new StatusError(
        'BadRequest',
        `CDI device injection failed: unresolvable CDI devices ${missing.join(', ')}`,
      );
    return edits;
  }

  private async devices(): Promise<Map<string, { spec: CdiSpec; edits: ContainerEdits }>> {
    const found = new Map<string, { spec: CdiSpec; edits: ContainerEdits }>();
    for (const directory of this.directories)
      for (const entry of fs.existsSync(directory) ? fs.readdirSync(directory).sort() : []) {
        if (!/\.(json|yaml)$/.test(entry)) continue;
        const file = path.join(directory, entry);
        try {
          const spec = await readSpec(file);
          for (const { name, containerEdits } of spec.devices ?? [])
            found.set(`${spec.kind ?? ''}=${name}`, { spec, edits: containerEdits ?? {} });
        } catch (err) {
          this.warn(file, err);
        }
      }
    return found;
  }
}

/** The configuration with the variables, devices and mounts that the edits add. */
export function withEdits(config: cri.ContainerConfig, edits: readonly ContainerEdits[]): cri.ContainerConfig {
  if (edits.length === 0) return config;
  const envs = edits.flatMap(({ env = [] }) =>
    env.map(each => ({ key: each.split('=', 1)[0] ?? '', value: each.slice(each.indexOf('=') + 1) })),
  );
  const devices = edits.flatMap(({ deviceNodes = [] }) =>
    deviceNodes.map(({ path: containerPath, hostPath = containerPath, permissions = 'rwm' }) => ({
      containerPath,
      hostPath,
      permissions,
    })),
  );
  const mounts = edits.flatMap(each =>
    (each.mounts ?? []).map(({ hostPath, containerPath, options = [] }) =>
      cri.Mount.fromPartial({ hostPath, containerPath, readonly: options.includes('ro') }),
    ),
  );
  return {
    ...config,
    envs: [...config.envs, ...envs],
    devices: [...config.devices, ...devices],
    mounts: [...config.mounts, ...mounts],
  };
}

/** What the edits ask of the OCI runtime itself: programs around the life of the container, and groups. In place. */
export function applyEdits(spec: OciSpec, edits: readonly ContainerEdits[]): void {
  const hooks: OciHooks = {};
  for (const { hookName, ...hook } of edits.flatMap(each => each.hooks ?? [])) (hooks[hookName] ??= []).push(hook);
  if (Object.keys(hooks).length > 0) spec.hooks = hooks;
  const groups = edits.flatMap(({ additionalGids = [] }) => additionalGids);
  if (groups.length > 0)
    spec.process.user.additionalGids = [...new Set([...(spec.process.user.additionalGids ?? []), ...groups])];
}
