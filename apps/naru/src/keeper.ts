import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isRunning, readProcessId, type ProcessId } from './process-id';
import { waitFor } from './wait';

/** The scripts beside this program; see bin/keep for the files of a service folder. */
export function script(name: string): string {
  // From the bundle (dist/apps/naru/main.js) and from the sources (apps/naru/src) alike.
  const folder = [path.join(__dirname, '../bin'), path.join(__dirname, '../../../apps/naru/bin')].find(existsSync);
  return path.join(folder ?? '/', name);
}

/** A process that a keeper runs. */
export interface ServiceSpec {
  name: string;
  argv: string[];
  environment?: Record<string, string>;
  /** File that its output is appended to. */
  log?: string;
}

/** Quotes for POSIX sh. */
export function quote(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** The text of a service's `run` file. */
export function runScript({ argv, environment = {} }: ServiceSpec): string {
  const exports = Object.entries(environment).map(([key, value]) => `export ${key}=${quote(value)}\n`);
  return `#!/bin/sh\n${exports.join('')}exec ${argv.map(quote).join(' ')}\n`;
}

/** Writes the folder of a service; answers true when its command differs from what was there. */
export function writeService(services: string, spec: ServiceSpec): boolean {
  const folder = path.join(services, spec.name);
  mkdirSync(folder, { recursive: true });
  const run = path.join(folder, 'run');
  const text = runScript(spec);
  const before = existsSync(run) ? readFileSync(run, 'utf8') : undefined;
  if (before !== text) {
    rmSync(run, { force: true });
    writeFileSync(run, text, { mode: 0o755 });
  }
  if (spec.log) {
    mkdirSync(path.dirname(spec.log), { recursive: true });
    writeFileSync(path.join(folder, 'log'), `${spec.log}\n`);
  }
  return before !== undefined && before !== text;
}

export function listServices(services: string): string[] {
  return existsSync(services) ? readdirSync(services).sort() : [];
}

export interface ServiceState {
  process: ProcessId | undefined;
  keeper: ProcessId | undefined;
  restarts: number;
  /** How the process before this one ended; "-" when there was none. */
  lastExit: string;
}

/** What the keeper of a service last wrote. The ids are those of the service's pid namespace and may be stale. */
export function readService(folder: string): ServiceState {
  let words: string[] = [];
  try {
    words = readFileSync(path.join(folder, 'state'), 'utf8').trim().split(' ');
  } catch {
    // Not started yet.
  }
  return {
    process: readProcessId(path.join(folder, 'state')),
    keeper: readProcessId(path.join(folder, 'keeper')),
    restarts: Number(words[2] ?? 0),
    lastExit: words[3] ?? '-',
  };
}

/** Starts the keeper of a service unless it runs. The keeper outlives this program. */
export function startService(services: string, name: string): void {
  const folder = path.join(services, name);
  rmSync(path.join(folder, 'down'), { force: true });
  const { keeper } = readService(folder);
  if (keeper && isRunning(keeper)) return;
  spawn(script('keep'), [folder], { detached: true, stdio: 'ignore', cwd: '/' }).unref();
}

/**
 * Ends a service and its keeper and waits for both; the keeper kills what does not end within 15 s.
 * `end` overrides how the process is told (default: the keeper sends TERM).
 */
export async function stopService(services: string, name: string, end?: (process: ProcessId) => void): Promise<void> {
  const folder = path.join(services, name);
  if (!existsSync(folder)) return;
  writeFileSync(path.join(folder, 'down'), '');
  const { keeper, process: kept } = readService(folder);
  const alive = (id: ProcessId | undefined): id is ProcessId => id !== undefined && isRunning(id);
  if (end && alive(kept)) end(kept);
  else if (alive(keeper)) signal(keeper, 'SIGTERM');
  else if (alive(kept)) signal(kept, 'SIGTERM');
  await waitFor(`end of ${name}`, () => !alive(keeper) && !alive(kept), { timeoutMs: 60_000, everyMs: 20 });
}

/** Sends a signal; a process that is gone already is fine. */
export function signal(id: ProcessId, name: NodeJS.Signals): void {
  if (!isRunning(id)) return;
  try {
    process.kill(id.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
