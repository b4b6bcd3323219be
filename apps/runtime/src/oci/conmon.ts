import fs from 'node:fs';
import path from 'node:path';
import { identify, type ProcessIdentity } from '../process/process-identity';
import { trySteps } from '../process/run-command';
import type { Step } from '../process/steps';
import type { OciRuntime } from './oci-runtime';

/** Everything conmon needs to look after one container. */
export interface ConmonRequest {
  id: string;
  name: string;
  bundle: string;
  /** The CRI log; empty for none. */
  logPath: string;
  exitDirectory: string;
  terminal: boolean;
  stdin: boolean;
  /** Standard input stays open when a client that was attached leaves. */
  leaveStdinOpen: boolean;
  /** systemd makes its cgroup. */
  systemdCgroup: boolean;
}

export interface ConmonProcesses {
  container: ProcessIdentity;
  conmon: ProcessIdentity | undefined;
}

const createTimeoutMs = 120_000;

/** The error that conmon hands on from the OCI runtime. */
export class CreateError extends Error {}

/**
 * Has conmon create a container: conmon runs the OCI runtime, keeps the container's stdio, writes its log and, when it ends, the file
 * EXIT_DIRECTORY/ID with its exit code. It is its own session and outlives this process. Resolves with the container's first process.
 */
export async function createWithConmon(
  program: string,
  runtime: OciRuntime,
  request: ConmonRequest,
): Promise<ConmonProcesses> {
  const pidFile = path.join(request.bundle, 'pid');
  const conmonPidFile = path.join(request.bundle, 'conmon.pid');
  const args = [
    ...['--cid', request.id, '--cuuid', request.id, '--name', request.name],
    ...['--bundle', request.bundle, '--persist-dir', request.bundle, '--exit-dir', request.exitDirectory],
    ...['--runtime', runtime.program],
    ...runtime.creationArguments(request.systemdCgroup).flatMap(argument => ['--runtime-arg', argument]),
    ...['--container-pidfile', pidFile, '--conmon-pidfile', conmonPidFile],
    ...['--log-path', request.logPath === '' ? 'off' : `k8s-file:${request.logPath}`, '--log-level', 'error'],
    ...['--full-attach', '--no-sync-log'],
    ...(request.terminal ? ['--terminal'] : []),
    ...(request.stdin ? ['--stdin'] : []),
    ...(request.leaveStdinOpen ? ['--leave-stdin-open'] : []),
  ];
  // conmon leaves a process behind, which hands the pid over.
  const steps: Step[] = [['told', '_OCI_SYNCPIPE', program, ...args]];
  const { stdout, stderr } = await trySteps(program, steps, { timeoutMs: createTimeoutMs });
  const { pid, message } = parseLine(stdout);
  if (pid === undefined || pid <= 0)
    throw new CreateError(message?.trim() || stderr.trim() || 'conmon ended without an answer');
  const container = identify(pid);
  // Gone already: its exit file will tell.
  return { container: container ?? { pid, startTicks: 'gone' }, conmon: readPidFile(conmonPidFile) };
}

function parseLine(line: string): { pid?: number; message?: string } {
  try {
    return JSON.parse(line) as { pid?: number; message?: string };
  } catch {
    return {};
  }
}

/** The process that a pid file names; undefined when it does not run. */
export function readPidFile(file: string): ProcessIdentity | undefined {
  try {
    return identify(Number(fs.readFileSync(file, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Writes to conmon's control FIFO without ever waiting for a reader. Returns false when there is none. */
function control(bundle: string, message: string): boolean {
  try {
    const file = fs.openSync(path.join(bundle, 'ctl'), fs.constants.O_WRONLY | fs.constants.O_NONBLOCK);
    try {
      fs.writeSync(file, message);
    } finally {
      fs.closeSync(file);
    }
    return true;
  } catch {
    return false;
  }
}

/** Sets the window size of a container's terminal. */
export function resizeTerminal(bundle: string, size: { width: number; height: number }): boolean {
  const bounded = (value: number): number => Math.max(0, Math.min(1000, Math.trunc(value)));
  return control(bundle, `1 ${bounded(size.height)} ${bounded(size.width)}\n`);
}

/** Makes conmon close its log and open it anew, after rotation. Returns false when conmon does not run. */
export function reopenLog(bundle: string): boolean {
  return control(bundle, '2 0 0\n');
}
