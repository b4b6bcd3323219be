import fs from 'node:fs';
import type { cri } from '@naru/proto';
import type { Cgroups } from '../process/cgroups';
import type { OciResources } from './oci-types';

/** Limits in the OCI's form; what the kubelet leaves at 0 or empty is left to the OCI runtime. */
export function ociResources(resources: cri.LinuxContainerResources | undefined, cgroups: Cgroups): OciResources {
  if (!resources) return {};
  const cpu = {
    ...(resources.cpuShares > 0n ? { shares: Number(resources.cpuShares) } : {}),
    ...(resources.cpuQuota !== 0n ? { quota: Number(resources.cpuQuota) } : {}),
    ...(resources.cpuPeriod > 0n ? { period: Number(resources.cpuPeriod) } : {}),
    ...(resources.cpusetCpus ? { cpus: resources.cpusetCpus } : {}),
    ...(resources.cpusetMems ? { mems: resources.cpusetMems } : {}),
  };
  const limit = Number(resources.memoryLimitInBytes);
  const swap = Number(resources.memorySwapLimitInBytes);
  const memory = { ...(limit > 0 ? { limit } : {}), ...(swap > 0 && hasSwapAccounting(cgroups) ? { swap } : {}) };
  const hugepageLimits = hasHugePageLimits(cgroups)
    ? resources.hugepageLimits.map(entry => ({ pageSize: entry.pageSize, limit: Number(entry.limit) }))
    : [];
  return {
    ...(Object.keys(cpu).length > 0 ? { cpu } : {}),
    ...(Object.keys(memory).length > 0 ? { memory } : {}),
    ...(hugepageLimits.length > 0 ? { hugepageLimits } : {}),
    ...(cgroups.version === 2 && Object.keys(resources.unified).length > 0 ? { unified: resources.unified } : {}),
  };
}

function hasHugePageLimits(cgroups: Cgroups): boolean {
  const directory = cgroups.directory('hugetlb', '/');
  if (directory === undefined || !fs.existsSync(directory)) return false;
  if (cgroups.version === 1) return true;
  return fs.readFileSync(`${directory}/cgroup.controllers`, 'utf8').trim().split(' ').includes('hugetlb');
}

function hasSwapAccounting(cgroups: Cgroups): boolean {
  if (cgroups.version === 2) return true;
  const directory = cgroups.directory('memory', '/');
  return directory !== undefined && fs.existsSync(`${directory}/memory.memsw.limit_in_bytes`);
}

/**
 * How likely the kernel is to kill the container's processes when memory runs out. Without CAP_SYS_RESOURCE nobody can go below
 * one's own value, so it is raised to that.
 */
export function clampOomScore(
  wanted: number,
  own = Number(fs.readFileSync('/proc/self/oom_score_adj', 'utf8')),
): number {
  return Math.min(Math.max(wanted, own), 1000);
}
