import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { WebSocket } from 'ws';
import { sendOverWebSocket } from './byte-stream';

const servers: http.Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

test.each([
  ['binary.k8s.io', (data: Buffer) => data.toString()],
  ['base64.binary.k8s.io', (data: Buffer) => Buffer.from(data.toString(), 'base64').toString()],
])('bytes over WebSocket in protocol %s come whole, with a clean end', async (protocol, decode) => {
  const server = http.createServer();
  servers.push(server);
  server.on('upgrade', (request, socket, head) => {
    void sendOverWebSocket({ request, socket, head }, Readable.from([Buffer.from('one '), Buffer.from('two')]));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`, [protocol]);
  let text = '';
  socket.on('message', (data: Buffer) => (text += decode(data)));
  const [code] = (await once(socket, 'close')) as [number];
  expect([text, code]).toEqual(['one two', 1000]);
});
