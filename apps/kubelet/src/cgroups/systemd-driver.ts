import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import path from 'node:path';
import type { Clock } from '@naru/foundation';
import type { CgroupDriver } from './cgroup-driver';
import { sharesToWeight, type CgroupTree, type CgroupValues } from './cgroup-tree';

const run = promisify(execFile);
const callTimeoutMs = 25_000;
const settleMs = 10_000;
const lookAgainMs = 10;
/** How systemd writes that there is no limit. */
const infinity = String(2n ** 64n - 1n);
/** systemd keeps a quota as time in a second, and rounds it down to 10 ms. */
const quotaStepUs = 10_000;

/** As arguments of busctl: name, type and value, each property after the other. */
export function sliceProperties(values: CgroupValues): string[][] {
  const { cpuShares, cpuQuotaUs, cpuPeriodUs = 100_000, memoryLimitBytes, maxPids } = values;
  const limit = (name: string, value: number): string[] => [name, 't', value === 0 ? infinity : String(value)];
  const properties: string[][] = [];
  if (cpuShares !== undefined) properties.push(['CPUWeight', 't', String(sharesToWeight(cpuShares))]);
  if (cpuQuotaUs !== undefined) {
    const perSecondUs = Math.ceil((cpuQuotaUs * 1_000_000) / cpuPeriodUs / quotaStepUs) * quotaStepUs;
    properties.push(['CPUQuotaPeriodUSec', 't', String(cpuPeriodUs)], limit('CPUQuotaPerSecUSec', perSecondUs));
  }
  if (memoryLimitBytes !== undefined) properties.push(limit('MemoryMax', memoryLimitBytes));
  if (maxPids !== undefined) properties.push(limit('TasksMax', maxPids));
  return properties;
}

/** What a new slice has besides its limits: systemd counts for it, and does not stop it before anything else at a shutdown. */
const fixedProperties = [
  ['DefaultDependencies', 'b', 'false'],
  ...['CPU', 'Memory', 'Tasks', 'IO'].map(what => [`${what}Accounting`, 'b', 'true']),
];

/**
 * systemd makes the cgroups, as slices: told through its D-Bus interface, it keeps their limits when it is reloaded, and nobody else writes
 * below its tree. Source: opencontainers/cgroups, systemd/v2.go; org.freedesktop.systemd1(5).
 */
export class SystemdDriver implements CgroupDriver {
  constructor(private readonly deps: { tree: CgroupTree; clock: Clock }) {}

  /** `kubepods, burstable` is /kubepods.slice/kubepods-burstable.slice. A dash is a step, so one in a name is written `_`. */
  path(names: readonly string[]): string {
    const parts = names.flatMap(name => name.split('/')).filter(Boolean);
    const escaped = parts.map(part => part.replaceAll('-', '_'));
    return `/${escaped.map((_, index) => `${escaped.slice(0, index + 1).join('-')}.slice`).join('/')}`;
  }

  async create(cgroup: string, values: CgroupValues): Promise<void> {
    const { tree } = this.deps;
    const unit = path.posix.basename(cgroup);
    const properties = sliceProperties(values);
    if (tree.exists(cgroup)) {
      if (properties.length > 0) await this.set(unit, properties);
    } else {
      const all = [...properties, ...fixedProperties];
      const what = [unit, 'replace', String(all.length), ...all.flat(), '0'];
      await this.call('StartTransientUnit', 'ssa(sv)a(sa(sv))', ...what);
      await this.until(() => tree.exists(cgroup), `slice ${unit} has not come up`);
    }
    // Exact to the microsecond, where systemd rounds.
    tree.write(cgroup, values);
  }

  private set(unit: string, properties: string[][]): Promise<void> {
    return this.call('SetUnitProperties', 'sba(sv)', unit, 'true', String(properties.length), ...properties.flat());
  }

  async remove(cgroup: string): Promise<void> {
    const { tree } = this.deps;
    if (!tree.exists(cgroup)) return;
    if (tree.processes(cgroup).length > 0) throw new Error(`processes live on in ${cgroup}`);
    const unit = path.posix.basename(cgroup);
    await this.call('StopUnit', 'ss', unit, 'replace');
    await this.until(() => !tree.exists(cgroup), `slice ${unit} has not gone`);
  }

  private async call(method: string, ...rest: string[]): Promise<void> {
    const target = ['org.freedesktop.systemd1', '/org/freedesktop/systemd1', 'org.freedesktop.systemd1.Manager'];
    try {
      await run('busctl', ['--system', '--quiet', 'call', ...target, method, ...rest], { timeout: callTimeoutMs });
    } catch (cause) {
      const { stderr, message } = cause as Error & { stderr?: string };
      throw new Error(`systemd refused ${method} of ${rest[1]}: ${(stderr || message).trim()}`, { cause });
    }
  }

  /** systemd answers when it has taken a job on, not when it is done; that takes it a millisecond or two. */
  private async until(done: () => boolean, failure: string): Promise<void> {
    const deadline = this.deps.clock.now() + settleMs;
    while (!done()) {
      if (this.deps.clock.now() > deadline) throw new Error(`${failure} within ${settleMs} ms`);
      await this.deps.clock.sleep(lookAgainMs);
    }
  }
}
