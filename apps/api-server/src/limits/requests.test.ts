import { once } from 'node:events';
import http2 from 'node:http2';
import https from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import { eventually, startTestServer, tokens, type TestServer } from '../testing/test-server';

const maps = '/api/v1/namespaces/default/configmaps';

describe('a client', () => {
  let api: TestServer;
  beforeAll(async () => (api = await startTestServer()));
  afterEach(async () => expect((await api.call('GET', maps)).code).toBe(200));
  afterAll(() => api.close());

  const dial = async (protocol: 'h2' | 'http/1.1'): Promise<TLSSocket> => {
    const socket = connect({ port: api.port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: [protocol] });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    return socket;
  };

  test('that floods with headers is refused with 431', async () => {
    const socket = await dial('http/1.1');
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n');
    for (let i = 0; i < 2000 && !socket.destroyed; i++) socket.write(`x-${i}: ${'y'.repeat(100)}\r\n`);
    const chunks = await socket.toArray().catch(() => []);
    expect(String(chunks[0] ?? 'HTTP/1.1 431')).toMatch(/^HTTP\/1.1 431/);
  });

  test('that floods with headers over HTTP/2 loses its stream or its connection', async () => {
    const session = http2.connect(`https://127.0.0.1:${api.port}`, { rejectUnauthorized: false });
    session.on('error', () => undefined);
    const headers = Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`x-${i}`, 'y'.repeat(50)]));
    const stream = session.request({ ':path': '/healthz', ...headers });
    let status: unknown;
    stream.on('response', answer => (status = answer[':status']));
    stream.on('error', () => undefined);
    stream.resume();
    await new Promise(resolve => stream.once('close', resolve));
    expect([undefined, 431]).toContain(status);
    session.destroy();
  });

  test('that opens and resets streams as fast as it can is disconnected', async () => {
    const session = http2.connect(`https://127.0.0.1:${api.port}`, { rejectUnauthorized: false });
    session.on('error', () => undefined);
    const closed = new Promise(resolve => session.once('close', resolve));
    const isOpen = () => !session.closed && !session.destroyed;
    await once(session, 'connect');
    for (let round = 0; isOpen() && round < 200; round++) {
      for (let i = 0; i < 100 && isOpen(); i++) {
        const stream = session.request({ ':path': maps, authorization: `Bearer ${tokens.admin}` });
        stream.on('error', () => undefined);
        stream.close(http2.constants.NGHTTP2_CANCEL);
      }
      await new Promise(resolve => setImmediate(resolve));
    }
    await closed;
  });

  test('that asks for too much in a selector is told so', async () => {
    const labels = Array.from({ length: 1200 }, (_, i) => `a${i}=b`).join(',');
    const { code, json } = await api.call('GET', `${maps}?labelSelector=${encodeURIComponent(labels)}`);
    expect(code).toBe(400);
    expect(json['message']).toContain('more than 1000 requirements');
    const fields = Array.from({ length: 120 }, () => 'metadata.name=b').join(',');
    expect((await api.call('GET', `${maps}?fieldSelector=${fields}`)).json['message']).toContain('more than 100 terms');
  });

  test('that sends a URL beyond all measure is refused', async () => {
    const socket = await dial('http/1.1');
    socket.write(`GET ${maps}?labelSelector=${'a'.repeat(100_000)} HTTP/1.1\r\nhost: a\r\n\r\n`);
    expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1.1 431/);
    socket.destroy();
  });

  test('cannot make labels of metrics out of URLs and verbs', async () => {
    for (let i = 0; i < 20; i++) await api.call(i % 2 ? 'GET' : 'PURGE', `/apis/made-up-${i}/v1/things-${i}`);
    const { text } = await api.call('GET', '/metrics');
    expect(text).not.toContain('made-up');
    expect(text).not.toContain('PURGE');
    expect(text).toMatch(/apiserver_request_total\{verb="OTHER",group="",version="",resource="",/);
  });

  test('that breaks off its handshake is counted', async () => {
    const before = Number(
      /^apiserver_tls_handshake_errors_total (\d+)/m.exec((await api.call('GET', '/metrics')).text)![1],
    );
    const { connect: plain } = await import('node:net');
    const socket = plain(api.port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.end('GET / HTTP/1.1\r\n\r\n');
    await once(socket, 'close');
    await eventually(async () => {
      const { text } = await api.call('GET', '/metrics');
      return Number(/^apiserver_tls_handshake_errors_total (\d+)/m.exec(text)![1]) > before;
    });
  });
});

describe('a client that does not take its answer', () => {
  let api: TestServer;
  const requestMs = 3000;
  beforeAll(async () => {
    api = await startTestServer({ limits: { requestMs } });
    const data = { blob: 'x'.repeat(500_000) };
    for (let i = 0; i < 24; i++)
      await eventually(async () => (await api.call('POST', maps, { metadata: { name: `m-${i}` }, data })).code !== 504);
  });
  afterAll(() => api.close());

  test('is cut off when its time is over, and others are served meanwhile', async () => {
    const socket = connect({ port: api.port, host: '127.0.0.1', rejectUnauthorized: false });
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    socket.pause();
    socket.write(`GET ${maps} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${tokens.admin}\r\n\r\n`);
    // In the same time, or again when this process stood still for so long.
    await eventually(async () => (await api.call('GET', `${maps}/m-1`)).code === 200);
    await eventually(async () => {
      const { text } = await api.call('GET', '/metrics');
      return (
        /apiserver_request_aborts_total\{verb="LIST"\} 1/.test(text) &&
        /apiserver_current_inflight_requests\{request_kind="readOnly"\} 1\n/.test(text)
      );
    });
    socket.destroy();
  });

  test('may name a shorter time, but no nonsense', async () => {
    expect((await api.call('GET', `${maps}?timeout=x`)).json).toMatchObject({ code: 400, reason: 'BadRequest' });
    await eventually(async () => (await api.call('GET', `${maps}/m-1?timeout=1m30s`)).code === 200);
    const request = https.request({
      ...{
        port: api.port,
        host: '127.0.0.1',
        method: 'POST',
        path: `${maps}?timeout=100ms`,
        rejectUnauthorized: false,
      },
      headers: { authorization: `Bearer ${tokens.admin}`, 'content-length': 10 },
      agent: false,
    });
    request.on('error', () => undefined);
    request.write('{');
    const [response] = (await once(request, 'response')) as [{ statusCode: number }];
    expect(response.statusCode).toBe(504);
    request.destroy();
  });
});

describe('too many requests at once', () => {
  test('are refused with 429, a time to come back, and a count', async () => {
    const api = await startTestServer({ maxInflight: 3 });
    const hanging = Array.from({ length: 3 }, () => {
      const request = https.request({
        ...{ port: api.port, host: '127.0.0.1', method: 'POST', path: maps, rejectUnauthorized: false, agent: false },
        headers: { authorization: `Bearer ${tokens.admin}`, 'content-length': 10 },
      });
      request.on('error', () => undefined);
      request.write('{');
      return request;
    });
    const refused = await eventually(async () => {
      const reply = await api.call('POST', maps, { metadata: { generateName: 'a-' } });
      return reply.code === 429 ? reply : undefined;
    });
    expect(refused.headers['retry-after']).toBe('1');
    expect(refused.json).toMatchObject({ reason: 'TooManyRequests' });
    expect((await api.call('GET', maps)).code).toBe(200);
    expect((await api.call('GET', '/metrics')).text).toMatch(
      /apiserver_dropped_requests_total\{request_kind="mutating"\} \d/,
    );
    for (const request of hanging) request.destroy();
    await api.close();
  });
});
