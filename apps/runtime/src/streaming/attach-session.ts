import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import type { Readable } from 'node:stream';
import type { RemoteCommandSession, RemoteCommandStreams } from '@naru/streaming';
import type { Containers } from '../containers/containers';
import { resizeTerminal } from '../oci/conmon';
import { followLog } from './log-follower';
import { SpacedSizes } from './window-size';

/**
 * Connects a client to a running container. Output comes from the container's log, from its present end on: conmon writes there at
 * once, partial lines too.
 *
 * However the container ends, the stream ends with success: an exit code is Exec's to tell. kubectl run takes a failure for a stream
 * that never was, prints the whole log instead, and reads the code from the pod; so it fails when the container has ended before.
 */
export async function runAttachSession(
  containers: Containers,
  id: string,
  session: RemoteCommandSession,
  streams: RemoteCommandStreams,
): Promise<void> {
  const bundle = containers.bundle(id);
  const sizes = new SpacedSizes(size => void resizeTerminal(bundle, size));
  let input: ChildProcess | undefined;
  try {
    const { logPath } = containers.running(id);
    session.onResize(size => sizes.set(size));
    if (streams.stdin) input = inputTo(bundle, session.stdin);
    const ended = containers.ended(id, session.signal);
    for await (const { stream, data } of followLog(logPath, ended, session.signal)) {
      if (stream === 'stderr' ? streams.stderr : streams.stdout) await session.write(stream, data);
    }
    await session.finish({ exitCode: 0 });
  } catch (error) {
    if (!session.signal.aborted)
      await session.finish({ error: `error attaching to container: ${(error as Error).message}` });
  } finally {
    sizes.close();
    input?.kill();
  }
}

/**
 * conmon's attach socket is a SOCK_SEQPACKET one, which Node cannot open: socat bridges it. It takes the output that comes there too: conmon,
 * and with it the container, waits for everybody who is attached.
 */
function inputTo(bundle: string, stdin: Readable): ChildProcess {
  const child = spawn('socat', ['-b', '8192', 'STDIO', 'UNIX-CONNECT:attach,type=5'], {
    cwd: path.resolve(bundle),
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  stdin.pipe(child.stdin);
  return child;
}
