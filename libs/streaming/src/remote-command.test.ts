import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Duplex } from 'node:stream';
import { eventually } from '@naru/foundation/testing';
import { WebSocket } from 'ws';
import type { RemoteCommandSession, RemoteCommandStreams, TerminalSize } from './remote-command';
import { RemoteCommandServer } from './remote-command-server';
import { LateClient, stopTime } from './testing/late-client';
import { openSpdy, SpdyClient } from './testing/spdy-client';

const all: RemoteCommandStreams = { stdin: true, stdout: true, stderr: true, tty: false };
const servers: http.Server[] = [];
afterEach(() => {
  jest.useRealTimers();
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

/** A server whose command is `run`. */
async function serve(
  run: (session: RemoteCommandSession) => Promise<void>,
  streams: RemoteCommandStreams = all,
): Promise<number> {
  const commands = new RemoteCommandServer();
  const server = http.createServer();
  servers.push(server);
  server.on('upgrade', (request, socket, head) => {
    commands.accept(request, socket, head, streams).then(run, () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Gives back its input, says a word on stderr, and ends with 7. */
async function shout(session: RemoteCommandSession): Promise<void> {
  await session.write('stderr', Buffer.from('listening'));
  await session.pipe('stdout', session.stdin);
  await session.finish({ exitCode: 7 });
}

const status7 = {
  status: 'Failure',
  reason: 'NonZeroExitCode',
  message: 'command terminated with non-zero exit code: exit status 7',
  details: { causes: [{ reason: 'ExitCode', message: '7' }] },
};

/** Opens the streams of a command as client-go does. */
async function command(port: number, protocols: string, names: string[]) {
  const transport = (await openSpdy(port, '/', protocols)) as Awaited<ReturnType<typeof openSpdy>> & {
    protocol: string;
  };
  const client = new SpdyClient(transport);
  const ids = new Map(names.map((name, index) => [name, index * 2 + 1]));
  for (const [name, id] of ids) await client.open(id, { streamType: name });
  const read = (name: string): string => client.received.get(ids.get(name)!) ?? '';
  return { client, protocol: transport.protocol, ids, read };
}

describe('a command over SPDY', () => {
  test('has its streams apart, takes input to its end, and tells its exit code', async () => {
    const port = await serve(shout);
    const protocols = 'v4.channel.k8s.io,v3.channel.k8s.io,v2.channel.k8s.io,channel.k8s.io';
    const names = ['error', 'stdin', 'stdout', 'stderr'];
    const { client, protocol, ids, read } = await command(port, protocols, names);
    expect(protocol).toBe('v4.channel.k8s.io');
    client.data(ids.get('stdin')!, 'hello ');
    client.data(ids.get('stdin')!, 'world', true);
    await eventually(() => expect(client.ended.has(ids.get('error')!)).toBe(true));
    expect([read('stdout'), read('stderr')]).toEqual(['hello world', 'listening']);
    expect(JSON.parse(read('error'))).toMatchObject(status7);
    client.close();
  });

  test('of version 2 tells an error in words, and success by silence', async () => {
    let exitCode = 7;
    const port = await serve(session => session.finish({ exitCode }), { ...all, stdin: false, stderr: false });
    const failed = await command(port, 'v2.channel.k8s.io', ['error', 'stdout']);
    await eventually(() => expect(failed.client.ended.size).toBe(2));
    expect(failed.read('error')).toBe(status7.message);
    exitCode = 0;
    const done = await command(port, 'v2.channel.k8s.io', ['error', 'stdout']);
    await eventually(() => expect(done.client.ended.size).toBe(2));
    expect(done.read('error')).toBe('');
    failed.client.close();
    done.client.close();
  });

  test('follows the sizes of the terminal, however they are cut', async () => {
    const sizes: TerminalSize[] = [];
    const port = await serve(session => Promise.resolve(session.onResize(size => sizes.push(size))), {
      ...all,
      stderr: false,
      tty: true,
    });
    const { client, ids } = await command(port, 'v4.channel.k8s.io', ['error', 'stdin', 'stdout', 'resize']);
    client.data(ids.get('resize')!, '{"Width":80,"Height":2');
    client.data(ids.get('resize')!, '5}\n{"Width":1,"Height":2}\n');
    await eventually(() =>
      expect(sizes).toEqual([
        { width: 80, height: 25 },
        { width: 1, height: 2 },
      ]),
    );
    client.close();
  });

  test('hears that its client has gone, even while its input is not read', async () => {
    let session: RemoteCommandSession | undefined;
    const port = await serve(opened => Promise.resolve(void (session = opened)));
    const { client, ids } = await command(port, 'v4.channel.k8s.io', ['error', 'stdin', 'stdout', 'stderr']);
    for (let i = 0; i < 40; i++) client.data(ids.get('stdin')!, 'x'.repeat(64 * 1024));
    await eventually(() => expect(session).toBeDefined());
    client.close();
    await eventually(() => expect(session?.signal.aborted).toBe(true));
  });

  test('is refused to a client that speaks nothing we know', async () => {
    await expect(openSpdy(await serve(shout), '/', 'v9.channel.k8s.io')).rejects.toThrow('refused with 400');
  });
});

describe('a command over WebSocket', () => {
  async function talk(protocol: string | undefined, say: (text: string) => string | Buffer) {
    const port = await serve(async session => {
      await session.write('stderr', Buffer.from('err'));
      const [first] = (await once(session.stdin, 'data')) as [Buffer];
      await session.write('stdout', first);
      await session.finish({ exitCode: 7 });
    });
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, protocol === undefined ? [] : [protocol]);
    const messages: { channel: number; text: string }[] = [];
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) messages.push({ channel: data[0]!, text: data.toString('utf8', 1) });
      else {
        const text = String(data);
        messages.push({ channel: Number(text[0]), text: Buffer.from(text.slice(1), 'base64').toString() });
      }
    });
    await once(socket, 'open');
    socket.send(say('ping'));
    await once(socket, 'close');
    return messages.filter(({ text }) => text !== '');
  }
  const binary = (text: string): Buffer => Buffer.from(`\0${text}`);
  const base64 = (text: string): string => `0${Buffer.from(text).toString('base64')}`;

  test.each([
    ['v5.channel.k8s.io', binary, true],
    ['v4.channel.k8s.io', binary, true],
    ['v4.base64.channel.k8s.io', base64, true],
    ['channel.k8s.io', binary, false],
    ['base64.channel.k8s.io', base64, false],
    [undefined, binary, false],
  ])('in protocol %s has its channels', async (protocol, say, tellsStatus) => {
    const [stderr, stdout, error] = await talk(protocol, say);
    expect(stderr).toEqual({ channel: 2, text: 'err' });
    expect(stdout).toEqual({ channel: 1, text: 'ping' });
    expect(error!.channel).toBe(3);
    if (tellsStatus) expect(JSON.parse(error!.text)).toMatchObject(status7);
    else expect(error!.text).toBe(status7.message);
  });
});

test('a client over WebSocket that takes its messages late gets all, and how the command ended', async () => {
  stopTime();
  const socket = new LateClient();
  const key = Buffer.alloc(16).toString('base64');
  const headers = {
    upgrade: 'websocket',
    'sec-websocket-key': key,
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'v5.channel.k8s.io',
  };
  const request = { method: 'GET', headers } as unknown as http.IncomingMessage;
  const session = await new RemoteCommandServer().accept(request, socket, Buffer.alloc(0), all);
  await session.write('stdout', Buffer.from('last words'));
  const finished = session.finish({ exitCode: 7 });
  await socket.letTimePass();
  const close = '\x88\x02\x03\xe8';
  await socket.takeUntil(() => socket.received.endsWith(close));
  expect(socket.received).toMatch(/last words.*exit status 7.*\x88\x02\x03\xe8$/s);
  await socket.letTimePass();
  await finished;
});

test('a client over SPDY that takes its frames late gets all, and how the command ended', async () => {
  stopTime();
  const socket = new LateClient();
  const headers = { upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' };
  const request = { method: 'POST', headers } as unknown as http.IncomingMessage;
  const opening = new RemoteCommandServer().accept(request, socket, Buffer.alloc(0), {
    ...all,
    stdin: false,
    stderr: false,
  });
  // Its frames go the other way.
  const client = new SpdyClient(
    new Duplex({ read: () => undefined, write: (chunk, _, done) => (socket.push(chunk), done()) }),
  );
  await client.open(1, { streamType: 'error' });
  await client.open(3, { streamType: 'stdout' });
  let session: RemoteCommandSession | undefined;
  void opening.then(opened => (session = opened));
  await socket.takeUntil(() => session !== undefined);
  await session!.write('stdout', Buffer.from('last words'));
  const finished = session!.finish({ exitCode: 7 });
  await socket.letTimePass();
  await socket.takeUntil(() => /last words/.test(socket.received) && /exit status 7/.test(socket.received));
  expect(socket.received).toMatch(/last words/);
  expect(socket.received).toMatch(/exit status 7/);
  await socket.takeUntil(() => socket.writableLength === 0);
  await socket.letTimePass();
  await finished;
});
