import { readFileSync } from 'node:fs';

/** A process that cannot be mistaken for a later one that got the same pid. */
export interface ProcessId {
  pid: number;
  /** Clock ticks since boot: field 22 of /proc/PID/stat; the same number in every pid namespace. */
  start: number;
}

/** When the process started, or undefined when there is none (a zombie is none). */
export function startTimeOf(pid: number, proc = '/proc'): number | undefined {
  try {
    const stat = readFileSync(`${proc}/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything, parentheses too: count from behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? undefined : Number(fields[19]);
  } catch {
    return undefined;
  }
}

export function isRunning({ pid, start }: ProcessId): boolean {
  return startTimeOf(pid) === start;
}

/** Parses what a keeper writes: "PID START ...". Undefined when the file is absent or says "-". */
export function readProcessId(file: string): ProcessId | undefined {
  try {
    const [pid, start] = readFileSync(file, 'utf8').trim().split(' ').map(Number);
    return pid && start ? { pid, start } : undefined;
  } catch {
    return undefined;
  }
}

/** Resident memory in bytes, 0 when the process is gone. */
export function residentBytes(pid: number): number {
  try {
    const match = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return match ? Number(match[1]) * 1024 : 0;
  } catch {
    return 0;
  }
}

/** Seconds since boot. */
export function uptimeSeconds(): number {
  return Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]);
}

/** Linux reports start times to user space in hundredths of a second on every architecture. */
export const ticksPerSecond = 100;
