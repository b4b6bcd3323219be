import { formatTime } from '@naru/foundation';
import type { cri } from '@naru/proto';
import type { CgroupFigures } from '../cgroups/cgroup-usage';
import type { CpuStats, InterfaceStats, MemoryStats, NetworkStats, SwapStats } from './summary-types';

const at = (nanoseconds: bigint): string => formatTime(Number(nanoseconds / 1_000_000n));
export const figure = (value: { value: bigint } | undefined): number | undefined => value && Number(value.value);

export function cpuStats(cpu: cri.CpuUsage | undefined): CpuStats | undefined {
  if (!cpu) return undefined;
  return {
    time: at(cpu.timestamp),
    usageNanoCores: figure(cpu.usageNanoCores) ?? 0,
    usageCoreNanoSeconds: figure(cpu.usageCoreNanoSeconds),
  };
}

export function memoryStats(memory: cri.MemoryUsage | undefined): MemoryStats | undefined {
  if (!memory) return undefined;
  const { workingSetBytes, availableBytes, usageBytes, rssBytes, pageFaults, majorPageFaults } = memory;
  return {
    time: at(memory.timestamp),
    availableBytes: figure(availableBytes),
    usageBytes: figure(usageBytes),
    workingSetBytes: figure(workingSetBytes),
    rssBytes: figure(rssBytes),
    pageFaults: figure(pageFaults),
    majorPageFaults: figure(majorPageFaults),
  };
}

export function swapStats(swap: cri.SwapUsage | undefined): SwapStats | undefined {
  if (!swap) return undefined;
  const { swapAvailableBytes, swapUsageBytes } = swap;
  return {
    time: at(swap.timestamp),
    swapAvailableBytes: figure(swapAvailableBytes),
    swapUsageBytes: figure(swapUsageBytes),
  };
}

function interfaceStats(each: cri.NetworkInterfaceUsage): InterfaceStats {
  return {
    name: each.name,
    rxBytes: figure(each.rxBytes),
    rxErrors: figure(each.rxErrors),
    txBytes: figure(each.txBytes),
    txErrors: figure(each.txErrors),
  };
}

export function networkStats(network: cri.NetworkUsage | undefined): NetworkStats | undefined {
  const main = network?.defaultInterface;
  if (!network || !main) return undefined;
  const interfaces = [main, ...network.interfaces].map(interfaceStats);
  return { time: at(network.timestamp), ...(interfaces[0] as InterfaceStats), interfaces };
}

export function cgroupCpu(figures: CgroupFigures, time: string): CpuStats {
  return { time, usageNanoCores: figures.cpuNanoCores ?? 0, usageCoreNanoSeconds: figures.cpuNanoSeconds };
}

export function cgroupMemory(figures: CgroupFigures, time: string): MemoryStats {
  const { memoryBytes, workingSetBytes, rssBytes, pageFaults, majorPageFaults, memoryLimitBytes } = figures;
  return {
    time,
    ...(memoryLimitBytes === undefined ? {} : { availableBytes: Math.max(0, memoryLimitBytes - workingSetBytes) }),
    usageBytes: memoryBytes,
    workingSetBytes,
    rssBytes,
    pageFaults,
    majorPageFaults,
  };
}
