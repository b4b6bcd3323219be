import fs from 'node:fs/promises';
import os from 'node:os';
import { quantityMilliValue, quantityValue } from '@naru/api';

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

export type Signal = 'memory.available' | 'nodefs.available' | 'nodefs.inodesFree' | 'pid.available';

/** A threshold below which the node is under pressure: an amount, or a share of the whole. */
export type Thresholds = Map<Signal, { amount: number } | { share: number }>;

const signals: readonly Signal[] = ['memory.available', 'nodefs.available', 'nodefs.inodesFree', 'pid.available'];

/** Parses upstream's --eviction-hard: `memory.available<100Mi,nodefs.available<10%`. Throws for what it does not know. */
export function parseThresholds(parts: readonly string[]): Thresholds {
  const thresholds: Thresholds = new Map();
  for (const part of parts) {
    const [name = '', value = ''] = part.split('<');
    // Images have no disk of their own here, as on most nodes.
    if (name === 'imagefs.available' || name === 'imagefs.inodesFree') continue;
    if (!signals.includes(name as Signal)) throw new Error(`eviction threshold "${part}": unknown signal "${name}"`);
    const share = /^(\d+(?:\.\d+)?)%$/.exec(value)?.[1];
    thresholds.set(
      name as Signal,
      share === undefined ? { amount: quantityValue(value) } : { share: Number(share) / 100 },
    );
  }
  return thresholds;
}

function available(machine: MachineReading, signal: Signal): { left: number; whole: number } {
  switch (signal) {
    case 'memory.available':
      return { left: machine.memoryAvailableBytes, whole: machine.memoryBytes };
    case 'nodefs.available':
      return { left: machine.diskAvailableBytes, whole: machine.diskBytes };
    case 'nodefs.inodesFree':
      return { left: machine.inodesFree, whole: machine.inodes };
    case 'pid.available':
      return { left: machine.maxPids - machine.pids, whole: machine.maxPids };
  }
}

export function thresholdAmount(machine: MachineReading, thresholds: Thresholds, signal: Signal): number {
  const threshold = thresholds.get(signal);
  if (!threshold) return 0;
  return 'amount' in threshold ? threshold.amount : threshold.share * available(machine, signal).whole;
}

export function isUnderPressure(machine: MachineReading, thresholds: Thresholds, signal: Signal): boolean {
  const { left, whole } = available(machine, signal);
  // File systems without a fixed number of inodes report none at all.
  return whole > 0 && left < thresholdAmount(machine, thresholds, signal);
}

export interface Reserved {
  /** Millicores. */
  cpu: number;
  /** Bytes. */
  memory: number;
}

/** Parses `cpu=100m,memory=200Mi`. */
export function parseReserved(parts: readonly string[]): Reserved {
  const reserved: Reserved = { cpu: 0, memory: 0 };
  for (const part of parts) {
    const [name, value = ''] = part.split('=');
    if (name === 'cpu') reserved.cpu = quantityMilliValue(value);
    else if (name === 'memory') reserved.memory = quantityValue(value);
  }
  return reserved;
}
