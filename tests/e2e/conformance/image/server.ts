import { createSocket } from 'node:dgram';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import { hostname } from 'node:os';
import { parseArgs } from 'node:util';
import { serveExtension } from './extension';
import { proveToken } from './issuer';

/**
 * What the pods of the conformance tests run. With options it serves: `--http PORT...` answers GET / with its host name,
 * /dial?... with what another such server says each time, and any other request with its method and path as JSON; `--udp PORT...`
 * answers each datagram with its host name; `--grpc PORT` is a healthy grpc.health.v1; `--extension PORT` is the sample API server.
 * `--prove-token FILE` proves a token by the discovery of its issuer. Without, it prints its arguments.
 */
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    http: { type: 'string', multiple: true, default: [] },
    udp: { type: 'string', multiple: true, default: [] },
    grpc: { type: 'string', multiple: true, default: [] },
    extension: { type: 'string' },
    'prove-token': { type: 'string' },
  },
});
// PID 1 hears only the signals that it asked for.
process.on('SIGTERM', () => process.exit(0));
const dialTimeoutMs = 2_000;

function answer(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://server');
  if (url.pathname === '/dial') void dialOften(url.searchParams).then(answers => response.end(JSON.stringify(answers)));
  else if (url.pathname === '/' && request.method === 'GET') response.end(hostname());
  else response.end(JSON.stringify({ method: request.method, path: url.pathname }));
}

/** Side by side, `times` times. */
function dialOften(query: URLSearchParams): Promise<string[]> {
  return Promise.all(Array.from({ length: Number(query.get('times')) }, () => dial(query)));
}

/** Asks `host:port` by `protocol`, and says what it answered or why it did not: "error: ...". */
async function dial(query: URLSearchParams): Promise<string> {
  const [host = '', port = ''] = [query.get('host') ?? '', query.get('port') ?? ''];
  try {
    return await (query.get('protocol') === 'udp' ? dialUdp(host, Number(port)) : dialHttp(host, Number(port)));
  } catch (error) {
    return `error: ${(error as Error).message}`;
  }
}

function dialHttp(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    // A connection of its own: each is balanced anew.
    const request = get({ host, port, agent: false, timeout: dialTimeoutMs }, response => {
      let text = '';
      response.on('data', chunk => (text += String(chunk)));
      response.on('end', () => resolve(text));
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    request.on('error', reject);
  });
}

function dialUdp(host: string, port: number): Promise<string> {
  const socket = createSocket('udp4');
  return new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('timeout')), dialTimeoutMs);
    socket.on('message', message => {
      clearTimeout(timer);
      resolve(message.toString());
    });
    socket.on('error', reject);
    // A connected socket hears when the port is refused.
    socket.connect(port, host, () => socket.send('hostname'));
  }).finally(() => socket.close());
}

function serveUdp(port: number): void {
  const socket = createSocket('udp4');
  socket.on('message', (_, { address, port: from }) => socket.send(hostname(), from, address));
  socket.bind(port);
}

/** HealthCheckResponse { status: SERVING }, behind the five bytes of a gRPC message. */
const serving = Buffer.from([0, 0, 0, 0, 2, 0x08, 0x01]);

function serveHealth(port: number): void {
  const server = createHttp2Server();
  server.on('stream', stream => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(serving);
  });
  server.listen(port);
}

for (const port of values.http) createServer(answer).listen(Number(port));
for (const port of values.udp) serveUdp(Number(port));
for (const port of values.grpc) serveHealth(Number(port));
if (values.extension) void serveExtension(Number(values.extension));
if (values['prove-token']) void proveToken(values['prove-token']);
if (process.argv.length === 2 || positionals.length > 0) console.log(positionals.join(' '));
