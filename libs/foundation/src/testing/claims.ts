import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import { createServer } from 'node:net';

/** A number that no other test process of this machine has. */
export interface ClaimedNumber {
  readonly value: number;
  release(): void;
}

/** Who has a number has its UDP port at this address, which nothing else uses; the kernel takes it back when the process ends. */
const registry = '127.88.0.1';
/**
 * Below the ports that the kernel chooses itself (32768 and up), so that it gives them to nobody else either, and between those of the
 * clusters that end-to-end tests bring up: up to 11,300, and from 24,000 on.
 */
const ports = { first: 12_000, count: 8_000 };
const networks = { first: 20_000, count: 200 };

/** From 0 to 199, for what test networks are told apart by. Throws when all are taken. */
export async function claimNumber(): Promise<ClaimedNumber> {
  const { value, release } = await claim(networks);
  return { value: value - networks.first, release };
}

/** A free TCP port of the loopback interface that stays the caller's for as long as its process lives. */
export async function freePort(): Promise<number> {
  for (;;) {
    const { value, release } = await claim(ports);
    if (await isFree(value)) return value;
    release();
  }
}

async function claim({ first, count }: { first: number; count: number }): Promise<ClaimedNumber> {
  const begin = randomInt(count);
  for (let i = 0; i < count; i++) {
    const value = first + ((begin + i) % count);
    const socket = dgram.createSocket('udp4');
    if (await succeeds(socket, done => socket.bind({ port: value, address: registry, exclusive: true }, done))) {
      socket.unref();
      return { value, release: () => void socket.close() };
    }
    socket.close();
  }
  throw new Error(`all ${count} numbers from ${first} on are taken by tests`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  if (!(await succeeds(server, done => server.listen(port, '127.0.0.1', done)))) return false;
  await new Promise(resolve => server.close(resolve));
  return true;
}

/** Whether it could bind; false when another has the port. */
function succeeds(socket: NodeJS.EventEmitter, bind: (done: () => void) => void): Promise<boolean> {
  return new Promise((resolve, reject) => {
    socket.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    );
    bind(() => resolve(true));
  });
}
