import { randomInt } from 'node:crypto';
import net from 'node:net';

export interface ClaimedNumber {
  readonly value: number;
  release(): void;
}

/** How many there are: enough for all test processes that a machine runs at once. */
const limit = 200;
/** Who listens on this port of 127.88.0.N + 1 has the number N; the kernel takes it back when its process ends. */
const port = 20_009;

/** A number from 0 to 199 that no other test process of this machine has, for its networks. Throws when all are taken. */
export async function claimNumber(): Promise<ClaimedNumber> {
  const first = randomInt(limit);
  for (let i = 0; i < limit; i++) {
    const value = (first + i) % limit;
    const server = net.createServer(socket => socket.destroy());
    if (await listens(server, `127.88.0.${value + 1}`)) return { value, release: () => void server.close() };
  }
  throw new Error(`all ${limit} numbers for networks of tests are taken`);
}

function listens(server: net.Server, host: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    server.listen({ port, host }, () => resolve(true));
    server.unref();
  });
}
