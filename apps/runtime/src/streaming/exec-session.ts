import { spawn } from 'node:child_process';
import { pipeline } from 'node:stream/promises';
import type { RemoteCommandSession, RemoteCommandStreams } from '@naru/streaming';
import { exitCodeOf, type PreparedExec } from '../containers/exec';
import { TerminalResizer } from './terminal-resizer';

/** After a command has ended, how long its outputs may stay open (a child in the background holds them). */
const drainTimeoutMs = 1_000;

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
  const outputs = Promise.allSettled([
    child.stdout ? session.pipe('stdout', child.stdout) : undefined,
    child.stderr ? session.pipe('stderr', child.stderr) : undefined,
  ]);
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(exitCodeOf(code, signal)));
  });
  const late = new Promise<void>(resolve => setTimeout(resolve, drainTimeoutMs).unref());
  await Promise.race([outputs, late]);
  child.stdout?.destroy();
  child.stderr?.destroy();
  return exitCode;
}

async function runTerminal(prepared: PreparedExec, session: RemoteCommandSession): Promise<number> {
  // A native module that only terminals need: not loaded before.
  const { spawn: spawnTerminal } = await import('@lydell/node-pty');
  const terminal = spawnTerminal(prepared.program, prepared.args, {
    name: 'xterm',
    cols: 80,
    rows: 24,
    encoding: null,
  });
  const ended = new Promise<number>(resolve =>
    terminal.onExit(({ exitCode, signal }) => resolve(signal ? 128 + signal : exitCode)),
  );
  let sent = Promise.resolve();
  terminal.onData(data => {
    const chunk = typeof data === 'string' ? Buffer.from(data) : (data as Buffer);
    terminal.pause();
    sent = sent.then(() => session.write('stdout', chunk)).then(() => terminal.resume());
  });
  const resizer = new TerminalResizer(prepared);
  session.onResize(size => {
    if (size.width > 0 && size.height > 0) terminal.resize(size.width, size.height);
    resizer.resize(size);
  });
  session.stdin.on('data', (chunk: Buffer) => terminal.write(chunk as unknown as string)); // it takes bytes too, its types do not say so
  const exitCode = await ended;
  await sent;
  return exitCode;
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
