import { spawn } from 'node:child_process';
import { pipeline } from 'node:stream/promises';
import type { RemoteCommandSession, RemoteCommandStreams } from '@naru/streaming';
import { exitCodeOf, type PreparedExec } from '../containers/exec';
import { OutputProgress } from '../process/drain';
import { runOnTerminal } from './terminal-process';
import { TerminalResizer } from './terminal-resizer';

async function runPiped(
  prepared: PreparedExec,
  session: RemoteCommandSession,
  streams: RemoteCommandStreams,
): Promise<number> {
  const child = spawn(prepared.program, prepared.args, {
    stdio: [streams.stdin ? 'pipe' : 'ignore', streams.stdout ? 'pipe' : 'ignore', streams.stderr ? 'pipe' : 'ignore'],
  });
  // A command that does not read its input to the end is no failure.
  if (child.stdin) pipeline(session.stdin, child.stdin).catch(() => undefined);
  const progress = new OutputProgress();
  const outputs = Promise.allSettled([
    child.stdout ? session.pipe('stdout', progress.count(child.stdout)) : undefined,
    child.stderr ? session.pipe('stderr', progress.count(child.stderr)) : undefined,
  ]);
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(exitCodeOf(code, signal)));
  });
  await progress.drained(outputs);
  child.stdout?.destroy();
  child.stderr?.destroy();
  return exitCode;
}

async function runTerminal(prepared: PreparedExec, session: RemoteCommandSession): Promise<number> {
  const terminal = await runOnTerminal(prepared.program, prepared.args, output => session.write('stdout', output));
  const resizer = new TerminalResizer(prepared);
  session.onResize(size => {
    if (size.width > 0 && size.height > 0) terminal.resize(size);
    resizer.resize(size);
  });
  session.stdin.on('data', (chunk: Buffer) => terminal.write(chunk));
  return terminal.ended;
}

/** Runs a command for a connected client and reports how it ended. The command is killed when the client goes away. */
export async function runExecSession(
  prepared: PreparedExec,
  session: RemoteCommandSession,
  streams: RemoteCommandStreams,
): Promise<void> {
  const gone = (): void => prepared.kill();
  session.signal.addEventListener('abort', gone, { once: true });
  try {
    const exitCode = streams.tty ? await runTerminal(prepared, session) : await runPiped(prepared, session, streams);
    session.signal.removeEventListener('abort', gone);
    const failure = exitCode === 0 ? undefined : prepared.failure();
    if (failure !== undefined) throw new Error(`failed to exec in container: OCI runtime exec failed: ${failure}`);
    await session.finish({ exitCode });
  } catch (error) {
    await session.finish({ error: `error executing command in container: ${(error as Error).message}` });
  } finally {
    prepared.dispose();
  }
}
