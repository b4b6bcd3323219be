import { spawn } from 'node:child_process';
import path from 'node:path';
import type { RemoteCommandSession, RemoteCommandStreams } from '@naru/streaming';
import type { Containers } from '../containers/containers';
import { resizeTerminal } from '../oci/conmon';
import { followLog } from './log-follower';
import { SpacedSizes } from './window-size';

/**
 * Connects a client to a running container. Output comes from the container's log, from its present end on: conmon writes there at
 * once, partial lines too. Input goes through conmon's attach socket, a SOCK_SEQPACKET one, which Node cannot open: socat bridges it, and
 * takes the output that comes there too, as conmon, and with it the container, waits for everybody who is attached.
 *
 * However the container ends, the stream ends with success: an exit code is Exec's to tell. kubectl run takes a failure for a stream
 * that never was, prints the whole log instead, and reads the code from the pod.
 */
export async function runAttachSession(
  containers: Containers,
  id: string,
  session: RemoteCommandSession,
  streams: RemoteCommandStreams,
): Promise<void> {
  const record = containers.get(id);
  const bundle = containers.bundle(id);
  const sizes = new SpacedSizes(size => void resizeTerminal(bundle, size));
  session.onResize(size => sizes.set(size));
  const input = streams.stdin
    ? spawn('socat', ['-b', '8192', 'STDIO', 'UNIX-CONNECT:attach,type=5'], {
        cwd: path.resolve(bundle),
        stdio: ['pipe', 'ignore', 'ignore'],
      })
    : undefined;
  input?.on('error', () => undefined);
  input?.stdin?.on('error', () => undefined);
  if (input?.stdin) session.stdin.pipe(input.stdin);
  try {
    const ended = containers.ended(id, session.signal);
    for await (const { stream, data } of followLog(record.logPath, ended, session.signal)) {
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
