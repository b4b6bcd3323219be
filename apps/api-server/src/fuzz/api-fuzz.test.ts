import http2 from 'node:http2';
import https from 'node:https';
import { connect } from 'node:tls';
import { startTestServer, tokens, type TestServer } from '../testing/test-server';
import { fuzzRequest, type FuzzRequest } from './fuzz-requests';
import { manifests } from './manifests';
import { Random } from './random';

/**
 * Mutated manifests, random bytes, paths, verbs and parameters against a whole api-server: no failure of the server, no hang, no crash.
 * A seed gives the same requests again, as it does here; for others: NARU_FUZZ_SEED=N NARU_FUZZ_REQUESTS=N npx jest
 * apps/api-server/src/fuzz (the long form is 200,000 and more).
 */
const seed = Number(process.env['NARU_FUZZ_SEED'] ?? 1);
const count = Number(process.env['NARU_FUZZ_REQUESTS'] ?? 3000);
const clients = 8;
const answerMs = 90_000;
/** A watch or a followed log goes on: what matters is that it begins. */
const goesOn = /[?&](watch|follow)=|\/watch\//;
/** Upstream's own 500s: webhooks that cannot be reached, applied fields that the schema does not have, a scale without a number. */
const asUpstream =
  /conversion webhook for|failed calling webhook|failed to create typed patch object|the spec replicas field .* does not exist/;

interface Failure {
  index: number;
  request: FuzzRequest;
  why: string;
}

let api: TestServer;
let agent: https.Agent;

beforeAll(async () => {
  api = await startTestServer();
  agent = new https.Agent({ keepAlive: true, maxSockets: clients, rejectUnauthorized: false });
  for (const [id, path] of [
    ['/serviceaccounts', '/api/v1/namespaces/default/serviceaccounts'],
    ['apiextensions.k8s.io/customresourcedefinitions', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'],
  ] as const)
    await api.call('POST', path, { metadata: { name: 'default' }, ...manifests[id] });
});
afterAll(async () => {
  agent.destroy();
  await api.close();
});

/** Sends a request; answers what is wrong with the answer. */
function send(fuzz: FuzzRequest, by: https.Agent | false = agent): Promise<string | undefined> {
  const { method, path, headers, body } = fuzz;
  return new Promise(resolve => {
    const timer = setTimeout(() => {
      resolve('no answer in time');
      request.destroy();
    }, answerMs);
    const done = (why: string | undefined): void => {
      clearTimeout(timer);
      resolve(why);
    };
    let request: ReturnType<typeof https.request>;
    try {
      request = https.request({
        port: api.port,
        host: '127.0.0.1',
        agent: by,
        rejectUnauthorized: false,
        method,
        path,
        headers: {
          authorization: `Bearer ${tokens.admin}`,
          ...headers,
          ...(body ? { 'content-length': body.length } : {}),
        },
      });
    } catch {
      // Not to be sent at all.
      return done(undefined);
    }
    request.on('response', response => {
      const chunks: Buffer[] = [];
      const { statusCode = 0 } = response;
      if (goesOn.test(path) && statusCode === 200) {
        response.on('error', () => undefined);
        response.destroy();
        return done(undefined);
      }
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('close', () => {
        const text = Buffer.concat(chunks).toString();
        if (!response.complete) return done(`the answer ${statusCode} broke off`);
        if (statusCode >= 500 && ![501, 503, 504].includes(statusCode) && !asUpstream.test(text))
          done(`${statusCode} ${text.slice(0, 500)}`);
        else done(undefined);
      });
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      // A connection that is closed over a refused body is no failure.
      if (!['EPIPE', 'ECONNRESET'].includes(error.code ?? '')) done(`no answer: ${error.message}`);
      else if (body) done(undefined);
      // Nor is one that was closed before it was used again.
      else if (request.reusedSocket) send(fuzz, false).then(done, done);
      else done(`no answer: ${error.message}`);
    });
    request.end(body);
  });
}

test(`${count} requests from a seed find no failure of the server, no hang and no crash`, async () => {
  const failures: Failure[] = [];
  let next = 0;
  const client = async (): Promise<void> => {
    while (next < count && failures.length < 20) {
      const index = next++;
      const request = fuzzRequest(new Random(Math.imul(seed, 1_000_003) + index));
      let why = await send(request);
      // An answer without a body does not say why.
      if (why && request.method === 'HEAD') why = await send({ ...request, method: 'GET' });
      if (why) failures.push({ index, request, why });
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const told = failures.map(({ index, request, why }) => ({
    seed,
    index,
    what: `${request.method} ${request.path}`,
    headers: request.headers,
    body: request.body?.toString().slice(0, 1500),
    why,
  }));
  expect(told).toEqual([]);
  expect((await api.call('GET', '/readyz')).text).toBe('ok');
}, 3_600_000);

test('bytes that are no HTTP end in a refusal or a closed connection', async () => {
  const random = new Random(seed);
  const beginnings = [
    '',
    'GET / HTTP/1.1\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'POST /api/v1/pods HTTP/1.1\r\nhost: a\r\n',
  ];
  const talk = (): Promise<void> =>
    new Promise(resolve => {
      const socket = connect(
        {
          port: api.port,
          host: '127.0.0.1',
          rejectUnauthorized: false,
          ALPNProtocols: [random.pick(['h2', 'http/1.1'])],
        },
        () => {
          socket.write(random.pick(beginnings));
          socket.end(random.bytes(random.below(2000)));
        },
      );
      socket.on('error', () => undefined);
      socket.on('close', () => resolve());
      socket.resume();
    });
  await Promise.all(Array.from({ length: 60 }, talk));
  expect((await api.call('GET', '/readyz')).text).toBe('ok');
});

test('frames of HTTP/2 in any order end in a refusal or a closed connection', async () => {
  const random = new Random(seed);
  for (let i = 0; i < 20; i++) {
    const session = http2.connect(`https://127.0.0.1:${api.port}`, { rejectUnauthorized: false });
    session.on('error', () => undefined);
    await new Promise<void>(resolve => {
      session.once('close', resolve);
      session.once('connect', () => {
        for (let n = random.below(30); n > 0; n--) {
          const stream = session.request(
            { ':path': `/${random.below(9)}`, ':method': random.pick(['GET', 'POST', 'X']) },
            { endStream: random.chance(0.5) },
          );
          stream.on('error', () => undefined);
          stream.resume();
          if (random.chance(0.5)) stream.close(http2.constants.NGHTTP2_CANCEL);
          else if (stream.writable) stream.end(random.bytes(100));
        }
        session.close();
        setImmediate(() => session.destroy());
      });
    });
  }
  expect((await api.call('GET', '/readyz')).text).toBe('ok');
});
