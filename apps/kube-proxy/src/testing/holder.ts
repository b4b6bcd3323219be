import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Place } from './network-lab';

/** Says its name on each connection and keeps it open; says each line back. */
export const holdingServer = `
const [port, name] = process.argv.slice(1);
require('net').createServer(socket => socket.on('error', () => 0).on('data', line => socket.write(line)).write(name + '\\n')).listen(port, '0.0.0.0');
`;

export interface HeldConnection {
  name: string;
  /** Sends a line and resolves with the answer; fails when there is none in time. */
  echo(line: string): Promise<string>;
  close(): Promise<void>;
}

/** Opens a connection to a holding server and keeps it. */
export async function holdConnection(from: Place, ip: string, port: number): Promise<HeldConnection> {
  const child = spawn('ip', ['netns', 'exec', from.namespace, 'socat', '-', `TCP4:${ip}:${port},connect-timeout=3`]);
  const closed = once(child, 'close');
  const line = async (): Promise<string> => {
    const [chunk] = (await Promise.race([
      once(child.stdout, 'data', { signal: AbortSignal.timeout(5_000) }),
      closed.then(() => Promise.reject(new Error(`the connection to ${ip}:${port} was closed`))),
    ])) as [Buffer];
    return chunk.toString().trim();
  };
  return {
    name: await line(),
    echo(text) {
      child.stdin.write(`${text}\n`);
      return line();
    },
    async close() {
      child.stdin.end();
      child.kill();
      await closed;
    },
  };
}
