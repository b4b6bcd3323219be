import http from 'node:http';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import type { HttpRequest, HttpResponse } from '../rest/http';
import { responseSink } from './watch-sink';

const lines = ['{"type":"ADDED"}\n', '{"type":"MODIFIED","text":"한"}\n'].map(text => Buffer.from(text));
const whole = Buffer.concat(lines).toString();
let drains = 0;

function handle(request: HttpRequest, response: HttpResponse): void {
  if (request.url === '/plain') return void response.end('plain');
  const sink = responseSink(request, response);
  sink.onDrain(() => undefined);
  drains = request.socket.listenerCount('drain');
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  for (const line of lines) sink.write(line);
  sink.end();
}

const port = (server: net.Server): number => (server.address() as AddressInfo).port;
const listen = (server: net.Server) => new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));

test('watches over one kept HTTP/1.1 connection are framed right, and leave nothing behind on it', async () => {
  const server = http.createServer(handle);
  await listen(server);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const get = (path: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const request = http.get({ port: port(server), host: '127.0.0.1', path, agent }, response => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve(text));
      });
      request.on('error', reject);
    });
  expect(await get('/watch')).toBe(whole);
  const first = drains;
  for (let i = 0; i < 12; i++) expect(await get('/watch')).toBe(whole);
  expect(drains).toBe(first);
  expect(await get('/plain')).toBe('plain');
  agent.destroy();
  server.close();
});

test('a client of HTTP/1.0 gets the lines without frames', async () => {
  const server = http.createServer(handle);
  await listen(server);
  const socket = net.connect(port(server), '127.0.0.1');
  socket.write('GET /watch HTTP/1.0\r\n\r\n');
  let text = '';
  for await (const part of socket.setEncoding('utf8')) text += part;
  expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toBe(whole);
  server.close();
});

test('a stream of HTTP/2 gets the lines as they are', async () => {
  const server = http2.createServer((request, response) =>
    handle(request as unknown as HttpRequest, response as unknown as HttpResponse),
  );
  await listen(server as unknown as net.Server);
  const session = http2.connect(`http://127.0.0.1:${port(server as unknown as net.Server)}`);
  const stream = session.request({ ':path': '/watch' });
  let text = '';
  for await (const part of stream.setEncoding('utf8')) text += part;
  expect(text).toBe(whole);
  session.destroy();
  server.close();
});
