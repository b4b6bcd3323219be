import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import type { Readable, Writable } from 'node:stream';
import type { RemoteCommandSession, RemoteCommandStreams } from '@naru/streaming';
import { exitCodeOf, killSoon, type PreparedExec } from '../containers/exec';
import { OutputProgress } from '../process/drain';

const ignoreErrors = (): void => undefined;

/** Hands the client's sizes on to a terminal relay. Returns what makes the terminal hang up. */
function control(relay: Writable, session: RemoteCommandSession): () => void {
  relay.on('error', ignoreErrors); // it ends when its command does
  session.onResize(({ width, height }) => {
    if (width > 0 && height > 0) relay.write(`${height} ${width}\n`);
  });
  return () => relay.destroy();
}

async function run(
  prepared: PreparedExec,
  session: RemoteCommandSession,
  { stdin, stdout, stderr, tty }: RemoteCommandStreams,
): Promise<number> {
  const stdio = [stdin, stdout, stderr || tty].map(wanted => (wanted ? 'pipe' : 'ignore'));
  // A relay sees for itself that we have gone, however that came.
  const child = spawn(prepared.program, prepared.args, {
    stdio: tty ? [...stdio, 'pipe'] : stdio,
    detached: tty,
  });
  const gone = tty ? control(child.stdio[3] as Writable, session) : () => killSoon(prepared, child);
  session.signal.addEventListener('abort', gone, { once: true });
  if (session.signal.aborted) gone();
  // A command that does not read its input to the end is no failure.
  if (child.stdin) pipeline(session.stdin, child.stdin).catch(ignoreErrors);
  const progress = new OutputProgress();
  const said = tty ? text(child.stderr as Readable).catch(() => '') : '';
  const outputs = Promise.allSettled([
    child.stdout ? session.pipe('stdout', progress.count(child.stdout)) : undefined,
    child.stderr && !tty ? session.pipe('stderr', progress.count(child.stderr)) : undefined,
  ]);
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(exitCodeOf(code, signal)));
    }).finally(() => session.signal.removeEventListener('abort', gone)); // its number may be another's by now
    await progress.drained(outputs);
    const failure = exitCode === 0 ? undefined : prepared.failure();
    if (failure !== undefined) throw new Error(`failed to exec in container: OCI runtime exec failed: ${failure}`);
    if ((await said) !== '') throw new Error(`failed to exec in container: ${(await said).trim()}`);
    return exitCode;
  } finally {
    for (const stream of child.stdio) stream?.destroy();
  }
}

/**
 * Runs a command for a connected client and reports how it ended. When the client goes away the command is killed; one on a terminal is
 * hung up on.
 */
export async function runExecSession(
  prepared: PreparedExec,
  session: RemoteCommandSession,
  streams: RemoteCommandStreams,
): Promise<void> {
  try {
    await session.finish({ exitCode: await run(prepared, session, streams) });
  } catch (error) {
    await session.finish({ error: `error executing command in container: ${(error as Error).message}` });
  } finally {
    prepared.dispose();
  }
}
