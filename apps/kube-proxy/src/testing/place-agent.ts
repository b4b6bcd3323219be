import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** For who is to answer: processes of a busy machine stand still for seconds now and then. */
export const patienceMs = 30_000;

/** Serves and asks from inside a namespace: one process for all of it, for to start one takes longer than to ask a hundred times. */
const program = `
const net = require('net'), dgram = require('dgram');
const answerMs = ${patienceMs};
const held = new Map();
const listening = (server, start) => new Promise((done, fail) => { server.on('error', fail); start(done); });
const serveTcp = (port, welcome) => {
  const server = net.createServer(socket => { socket.on('error', () => 0); welcome(socket); });
  return listening(server, done => server.listen({ port, host: '::', backlog: 1024 }, done));
};
// A listener of both families sees clients of IPv4 so.
const plain = address => address.replace(/^::ffff:/, '');
const withDeadline = (work, ms, text) => {
  let timer;
  const late = new Promise((_, fail) => {
    // What came while this process was held up is heard before it counts as not come: sockets are looked at between the two.
    timer = setTimeout(() => { timer = setTimeout(() => fail(new Error(text)), 20); }, ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
};
const connect = async ({ ip, port, localAddress, timeoutMs }) => {
  const socket = net.connect({ host: ip, port, localAddress });
  const connected = new Promise((done, fail) => { socket.once('connect', done); socket.on('error', fail); });
  await withDeadline(connected, timeoutMs, 'Connection timed out').catch(error => { socket.destroy(); throw error; });
  return socket;
};
const line = (socket, timeoutMs) => withDeadline(new Promise((done, fail) => {
  socket.once('data', chunk => done(String(chunk).trim()));
  const closed = () => fail(new Error('the connection was closed'));
  if (socket.destroyed) closed();
  else socket.once('close', closed);
}), timeoutMs, 'no answer');
const operations = {
  async serve({ port, name }) {
    await serveTcp(port, socket => socket.end(name + ' ' + plain(socket.remoteAddress)));
    for (const type of ['udp4', 'udp6']) {
      const udp = dgram.createSocket({ type, ipv6Only: type === 'udp6' });
      udp.on('message', (_, from) => udp.send(name + ' ' + from.address, from.port, from.address));
      await listening(udp, done => udp.bind(port, done));
    }
  },
  async serveHolding({ port, name }) {
    await serveTcp(port, socket => { socket.write(name); socket.on('data', chunk => socket.write(chunk)); });
  },
  async tcp(target) {
    const socket = await connect(target);
    const answer = await line(socket, answerMs);
    socket.destroy();
    return answer;
  },
  async udp({ ip, port, sourcePort, timeoutMs }) {
    const socket = dgram.createSocket({ type: net.isIPv6(ip) ? 'udp6' : 'udp4', reuseAddr: true });
    try {
      await new Promise(done => socket.bind(sourcePort, done));
      await new Promise((done, fail) => socket.connect(port, ip, error => (error ? fail(error) : done())));
      const answer = new Promise((done, fail) => { socket.once('message', data => done(String(data))); socket.on('error', fail); });
      socket.send('who');
      return await withDeadline(answer, timeoutMs, 'no answer');
    } finally {
      socket.close();
    }
  },
  async hold(target) {
    const socket = await connect(target);
    const id = held.size;
    held.set(id, socket);
    return { id, name: await line(socket, answerMs) };
  },
  async echo({ id, text, timeoutMs }) { held.get(id).write(text); return line(held.get(id), timeoutMs); },
  async close({ id }) {
    const socket = held.get(id);
    if (!socket.destroyed) await new Promise(done => socket.on('close', done).end());
  },
};
const words = { ECONNREFUSED: 'Connection refused', ETIMEDOUT: 'Connection timed out' };
process.on('message', async ({ request, operation, parameters }) => {
  try { process.send({ request, value: await operations[operation](parameters) }); }
  catch (error) { process.send({ request, error: words[error.code] || error.message }); }
});
process.on('disconnect', () => process.exit());
`;

interface Answer {
  request: number;
  value?: unknown;
  error?: string;
}

export interface HeldConnection {
  name: string;
  /** Sends a line and resolves with the answer; fails when there is none in time. */
  echo(line: string, timeoutMs?: number): Promise<string>;
  close(): Promise<void>;
}

export interface Target {
  ip: string;
  port: number;
  /** The address to ask from, when it is not to be the kernel's choice. */
  localAddress?: string;
  timeoutMs: number;
}

export class PlaceAgent {
  private readonly child: ChildProcess;
  private readonly waiting = new Map<number, (answer: Answer) => void>();
  private requests = 0;

  constructor(namespace: string) {
    const args = [`--net=/run/netns/${namespace}`, process.execPath, '-e', program];
    this.child = spawn('nsenter', args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.child.on('message', message => {
      const answer = message as Answer;
      this.waiting.get(answer.request)?.(answer);
      this.waiting.delete(answer.request);
    });
    this.child.on('close', () => {
      for (const [request, settle] of this.waiting) settle({ request, error: 'the agent has ended' });
    });
  }

  /** Answers every TCP connection and UDP datagram with `NAME CLIENT_ADDRESS`. */
  async serve(port: number, name: string): Promise<void> {
    await this.request('serve', { port, name });
  }

  /** Says its name on each connection and keeps it open; says each line back. */
  async serveHolding(port: number, name: string): Promise<void> {
    await this.request('serveHolding', { port, name });
  }

  async askByTcp(target: Target): Promise<string> {
    return (await this.request('tcp', target)) as string;
  }

  async askByUdp(target: { ip: string; port: number; sourcePort?: number; timeoutMs: number }): Promise<string> {
    return (await this.request('udp', target)) as string;
  }

  /** Opens a connection to a holding server and keeps it. */
  async hold(ip: string, port: number): Promise<HeldConnection> {
    const { id, name } = (await this.request('hold', { ip, port, timeoutMs: patienceMs })) as {
      id: number;
      name: string;
    };
    return {
      name,
      echo: async (text, timeoutMs = patienceMs) => (await this.request('echo', { id, text, timeoutMs })) as string,
      close: async () => void (await this.request('close', { id })),
    };
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const closed = once(this.child, 'close');
    this.child.kill('SIGKILL');
    await closed;
  }

  private async request(operation: string, parameters: object): Promise<unknown> {
    const request = this.requests++;
    const { value, error } = await new Promise<Answer>(resolve => {
      this.waiting.set(request, resolve);
      this.child.send({ request, operation, parameters });
    });
    if (error !== undefined) throw new Error(error);
    return value;
  }
}
