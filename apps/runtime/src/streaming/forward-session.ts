import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import type { Forward } from '@naru/streaming';

/** After one side has ended its half, how long the other may still talk. */
const halfOpenSeconds = 60;

/** IPv4 first; nothing of the input is read before a connection stands, so the second try gets all of it. */
const script = `socat -t ${halfOpenSeconds} -b 65536 -,shut-down "TCP4:127.0.0.1:$1" || exec socat -t ${halfOpenSeconds} -b 65536 -,shut-down "TCP6:[::1]:$1"`;

/**
 * Carries connections to ports on the loopback of a pod's network namespace, or of the node's own. Node cannot enter a
 * namespace, so each connection has a small process there.
 */
export function forwardInto(networkNamespace: string | undefined): Forward {
  return async (port, data) => {
    const enter = networkNamespace === undefined ? [] : ['nsenter', `--net=${networkNamespace}`];
    const [program = 'sh', ...args] = [...enter, 'sh', '-c', script, 'sh', String(port)];
    const child = spawn(program, args, { stdio: 'pipe', detached: true });
    const said = text(child.stderr).catch(() => '');
    const ended = new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', code => resolve(code ?? 0));
    });
    // The shell and what it runs are a group of their own; without the client there is nothing left to do for them.
    const stop = (): void => {
      if (child.pid === undefined || child.exitCode !== null) return;
      try {
        process.kill(-child.pid, 'SIGTERM');
      } catch {
        // It has just ended.
      }
    };
    data.once('close', stop);
    // It may end without reading all of its input.
    child.stdin.on('error', () => undefined);
    data.pipe(child.stdin);
    let received = 0;
    child.stdout.on('data', (chunk: Buffer) => (received += chunk.length));
    child.stdout.pipe(data, { end: false });
    // Many servers say by closing that their answer is complete. Without an answer the reason is told first.
    child.stdout.once('end', () => {
      if (received > 0) data.end();
    });
    const code = await ended;
    data.off('close', stop);
    if (code === 0 || received > 0 || data.destroyed) return;
    const refused = (await said).includes('Connection refused');
    const why = refused ? 'connection refused' : ((await said).trim().split('\n').at(-1) ?? `exit code ${code}`);
    throw new Error(`failed to connect to localhost:${port} inside the pod's network: ${why}`);
  };
}
