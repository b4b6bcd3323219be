import { quantityMilliValue, quantityValue, type Container, type Pod } from '@naru/api';
import { cri } from '@naru/proto';
import { pageSizeName } from '../cgroups/cgroup-tree';
import { hugePagesPrefix } from '../node/huge-pages';
import type { MachineReading } from '../node/machine';
import { oomScoreAdj } from './qos';

export const cpuPeriodUs = 100_000;
const minShares = 2;
const maxShares = 262_144;
const minQuotaUs = 1_000;

/** Millicores to the cgroup's cpu.shares. Source: pkg/kubelet/cm/helpers_linux.go. */
export function cpuShares(milliCpu: number): number {
  if (milliCpu <= 0) return minShares;
  return Math.min(maxShares, Math.max(minShares, Math.trunc((milliCpu * 1024) / 1000)));
}

/** Microseconds of CPU time in a period; 0 means no limit. */
export function cpuQuotaUs(milliCpu: number): number {
  return milliCpu <= 0 ? 0 : Math.max(minQuotaUs, Math.trunc((milliCpu * cpuPeriodUs) / 1000));
}

type Limits = Record<string, string>;

/** What a container may use: what is not limited for itself is limited by its pod. */
export function limitsOf({ spec }: Pod, { resources }: Container): Limits {
  return { ...spec?.resources?.limits, ...resources?.limits };
}

/** Of each size that the machine has set pages aside of; who does not ask for them gets none. Source: kuberuntime_container_linux.go. */
function hugepageLimits(limits: Limits, pages: ReadonlyMap<number, number>): cri.HugepageLimit[] {
  const asked = Object.entries(limits).filter(([name]) => name.startsWith(hugePagesPrefix));
  const bySize = new Map(
    asked.map(([name, limit]) => [quantityValue(name.slice(hugePagesPrefix.length)), quantityValue(limit)]),
  );
  return [...pages]
    .filter(([, available]) => available > 0)
    .map(([size]) => ({ pageSize: pageSizeName(size), limit: BigInt(bySize.get(size) ?? 0) }));
}

/** What requests and limits mean to the kernel. */
export function containerResources(
  pod: Pod,
  container: Container,
  { memoryBytes, hugePages }: Pick<MachineReading, 'memoryBytes' | 'hugePages'>,
): cri.LinuxContainerResources {
  const requests = container.resources?.requests;
  const limits = limitsOf(pod, container);
  const milli = (text: string | undefined): number => (text === undefined ? 0 : quantityMilliValue(text));
  const cpuRequest = requests?.['cpu'] === undefined ? milli(limits['cpu']) : milli(requests['cpu']);
  const memoryLimit = limits['memory'] === undefined ? 0 : quantityValue(limits['memory']);
  return cri.LinuxContainerResources.fromPartial({
    cpuPeriod: cpuPeriodUs,
    cpuQuota: cpuQuotaUs(milli(limits['cpu'])),
    cpuShares: cpuShares(cpuRequest),
    memoryLimitInBytes: memoryLimit,
    // Equal to the memory limit: no swap for containers with a limit, as upstream's NoSwap.
    memorySwapLimitInBytes: memoryLimit,
    oomScoreAdj: oomScoreAdj(pod, container, memoryBytes),
    hugepageLimits: hugepageLimits(limits, hugePages),
  });
}
