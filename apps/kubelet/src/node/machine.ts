import fs from 'node:fs/promises';
import os from 'node:os';
import { readHugePages } from './huge-pages';

/** What this machine has, in plain numbers: bytes, processes, cores. */
export interface MachineReading {
  cores: number;
  memoryBytes: number;
  memoryAvailableBytes: number;
  diskBytes: number;
  diskAvailableBytes: number;
  inodes: number;
  inodesFree: number;
  maxPids: number;
  pids: number;
  swapBytes: number;
  swapFreeBytes: number;
  /** Huge pages set aside: size in bytes → bytes. */
  hugePages: ReadonlyMap<number, number>;
}

async function read(file: string): Promise<string> {
  return (await fs.readFile(file, 'utf8').catch(() => '')).trim();
}

function field(meminfo: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1] ?? 0) * 1024;
}

/** Reads the kernel's own figures. `directory` says which disk counts. */
export async function readMachine(directory: string): Promise<MachineReading> {
  const [meminfo, disk, maxPids, loadavg] = await Promise.all([
    read('/proc/meminfo'),
    fs.statfs(directory),
    read('/proc/sys/kernel/pid_max'),
    read('/proc/loadavg'),
  ]);
  return {
    cores: os.availableParallelism(),
    memoryBytes: field(meminfo, 'MemTotal'),
    memoryAvailableBytes: field(meminfo, 'MemAvailable'),
    diskBytes: disk.blocks * disk.bsize,
    diskAvailableBytes: disk.bavail * disk.bsize,
    inodes: disk.files,
    inodesFree: disk.ffree,
    maxPids: Number(maxPids) || 32_768,
    pids: Number(/\/(\d+) /.exec(loadavg)?.[1] ?? 0),
    swapBytes: field(meminfo, 'SwapTotal'),
    swapFreeBytes: field(meminfo, 'SwapFree'),
    hugePages: readHugePages(),
  };
}

/** Names of the machine and its software for Node.status.nodeInfo. */
export async function readNodeInfo(): Promise<
  Record<'machineID' | 'systemUUID' | 'bootID' | 'kernelVersion' | 'osImage', string>
> {
  const [machineID, systemUUID, bootID, release] = await Promise.all([
    read('/etc/machine-id'),
    read('/sys/class/dmi/id/product_uuid'),
    read('/proc/sys/kernel/random/boot_id'),
    read('/etc/os-release'),
  ]);
  const osImage = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(release)?.[1] ?? 'Linux';
  return { machineID, systemUUID: systemUUID || machineID, bootID, kernelVersion: os.release(), osImage };
}
