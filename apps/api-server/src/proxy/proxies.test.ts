import { execFile } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { gzipSync } from 'node:zlib';
import { promisify } from 'node:util';
import { WebSocket, WebSocketServer } from 'ws';
import { Authority, createAuthority } from '@naru/pki';
import { podIP, startFakeKubelet, type FakeKubelet } from '../testing/fake-kubelet';
import { startTestServer, tokens, type TestServer } from '../testing/test-server';
import { isProxyable } from './proxy-targets';

const core = '/api/v1/namespaces/default';
async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Tells what it was asked; some paths are special. */
const echo: http.RequestListener = (request, response) => {
  const { method, url = '', headers } = request;
  if (url.startsWith('/page'))
    return void response
      .writeHead(200, { 'content-type': 'text/html; charset=utf-8' })
      .end(`<p>é</p><a class=x href="/next?a=1">go</a><img src='/i.png'><a href="near">n</a>`);
  if (url === '/packed')
    return void response
      .writeHead(200, { 'content-type': 'text/html', 'content-encoding': 'gzip' })
      .end(gzipSync('<a href="/x">'));
  if (url === '/moved') return void response.writeHead(302, { location: '/there/' }).end();
  if (url === '/elsewhere') return void response.writeHead(302, { location: 'http://example.com/a' }).end();
  let body = '';
  request.on('data', chunk => (body += String(chunk)));
  request.on('end', () => {
    response.writeHead(url === '/teapot' ? 418 : 200, { 'content-type': 'application/json', 'x-own': 'yes' });
    response.end(JSON.stringify({ method, url, body, headers }));
  });
};

describe('the proxies', () => {
  let api: TestServer;
  const servers: Server[] = [];
  let plainPort: number;
  let tlsPort: number;
  let kubeletPort: number;
  let kubelet: FakeKubelet;

  beforeAll(async () => {
    api = await startTestServer();
    const authority = await Authority.load(await createAuthority());
    const pem = await authority.issue({ subject: { commonName: 'pod' }, usages: ['server'], dnsNames: ['pod'] });
    const plain = http.createServer(echo);
    const sockets = new WebSocketServer({ server: plain });
    sockets.on('connection', socket => socket.on('message', data => socket.send(`got ${String(data)}`)));
    const secure = https.createServer({ cert: pem.certificate, key: pem.key }, echo);
    kubelet = await startFakeKubelet(api, echo);
    kubeletPort = kubelet.port;
    servers.push(plain, secure);
    [plainPort, tlsPort] = [await listen(plain), await listen(secure)];
    const make = async (path: string, object: unknown, status?: unknown): Promise<void> => {
      const created = await api.call('POST', path, object);
      expect(created.code).toBe(201);
      const merge = { headers: { 'content-type': 'application/merge-patch+json' } };
      if (!status) return;
      const { name } = created.json['metadata'];
      expect((await api.call('PATCH', `${path}/${name}/status`, { status }, merge)).code).toBe(200);
    };
    await make(`${core}/serviceaccounts`, { metadata: { name: 'default' } });
    await make(
      `${core}/pods`,
      {
        metadata: { name: 'web' },
        spec: { containers: [{ name: 'c', image: 'i', ports: [{ containerPort: plainPort }] }] },
      },
      { podIP, podIPs: [{ ip: podIP }] },
    );
    const slice = (name: string, port: number, portName: string, targetRef?: object) => ({
      metadata: { name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: portName, port }],
      endpoints: [{ addresses: [podIP], conditions: { ready: true }, ...(targetRef ? { targetRef } : {}) }],
    });
    const slices = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
    const web = { kind: 'Pod', name: 'web', namespace: 'default' };
    await make(`${core}/services`, { metadata: { name: 'one' }, spec: { ports: [{ port: 80 }] } });
    await make(slices, slice('one', plainPort, '', web));
    await make(`${core}/services`, { metadata: { name: 'safe' }, spec: { ports: [{ name: 'tls', port: 443 }] } });
    await make(slices, slice('safe', tlsPort, 'tls', web));
    await make(`${core}/services`, { metadata: { name: 'trick' }, spec: { ports: [{ port: 80 }] } });
    await make(slices, slice('trick', plainPort, ''));
  });
  afterAll(async () => {
    kubelet.close();
    for (const server of servers) server.close();
    for (const server of servers) if (server instanceof http.Server) server.closeAllConnections();
    await api.close();
  });

  const get = (path: string, headers: Record<string, string> = {}) => api.call('GET', path, undefined, { headers });

  test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])(
    'pass %s with path, query and body on to a pod and a Service',
    async method => {
      for (const place of ['pods/web', 'services/one', `pods/http:web:${plainPort}`, 'services/http:one:80']) {
        const body = method === 'GET' || method === 'OPTIONS' ? undefined : 'some bytes';
        const { code, json, headers } = await api.call(method, `${core}/${place}/proxy/some/a%2Fb/?x=1&x=%20`, body);
        expect(code).toBe(200);
        expect(headers['x-own']).toBe('yes');
        expect(json).toMatchObject({ method, url: '/some/a%2Fb/?x=1&x=%20', body: body ?? '' });
        expect(json['headers']).not.toHaveProperty('authorization');
        expect(json['headers']['x-forwarded-uri']).toBe(`${core}/${place}/proxy/some/a%2Fb/`);
      }
    },
  );

  test('answer HEAD without a body, and pass any status on', async () => {
    expect(await api.call('HEAD', `${core}/pods/web/proxy/x`)).toMatchObject({ code: 200, text: '' });
    expect((await get(`${core}/pods/web/proxy/teapot`)).code).toBe(418);
  });

  test('without a path lead a reader to the one with a slash', async () => {
    const { code, headers } = await get(`${core}/services/one/proxy?method=GET`);
    expect([code, headers['location']]).toEqual([301, `${core}/services/one/proxy/?method=GET`]);
    const posted = await api.call('POST', `${core}/services/one/proxy?method=POST`, 'b');
    expect(posted.json).toMatchObject({ method: 'POST', url: '/?method=POST', body: 'b' });
  });

  test('speak TLS to what is named https, by number or name of the port', async () => {
    for (const place of [`pods/https:web:${tlsPort}`, 'services/https:safe:tls', 'services/https:safe:443'])
      expect((await get(`${core}/${place}/proxy/a`)).json).toMatchObject({ url: '/a' });
  });

  test('make links and redirects of the target lead through the proxy', async () => {
    const prefix = `${core}/pods/web/proxy`;
    expect((await get(`${prefix}/page`)).text).toBe(
      `<p>é</p><a class=x href="${prefix}/next?a=1">go</a><img src='${prefix}/i.png'><a href="near">n</a>`,
    );
    expect((await get(`${prefix}/packed`, { 'accept-encoding': 'gzip' })).headers['content-encoding']).toBe('gzip');
    expect((await get(`${prefix}/moved`)).headers['location']).toBe(`${prefix}/there/`);
    expect((await get(`${prefix}/elsewhere`)).headers['location']).toBe('http://example.com/a');
  });

  test('carry a WebSocket', async () => {
    const socket = new WebSocket(`wss://127.0.0.1:${api.port}${core}/services/one/proxy/ws`, {
      rejectUnauthorized: false,
      headers: { authorization: `Bearer ${tokens.admin}` },
    });
    await once(socket, 'open');
    socket.send('hello');
    expect(String((await once(socket, 'message'))[0])).toBe('got hello');
    socket.close();
    await once(socket, 'close');
  });

  test("reach a pod through its node's kubelet, and tell why when they cannot", async () => {
    expect((await get(`${core}/pods/web/proxy/a`)).json).toMatchObject({ url: '/a' });
    expect(kubelet.dialled).toContain(`${podIP}:${plainPort}`);
    const refused = await get(`${core}/pods/web:9/proxy/`);
    expect(refused.json).toMatchObject({
      code: 503,
      reason: 'ServiceUnavailable',
      message: 'error trying to reach service: dial tcp 10.99.7.9:9: connect: connection refused',
    });
  });

  test('ask again when a kept connection has been closed meanwhile', async () => {
    let connections = 0;
    const server = createServer(socket => {
      connections++;
      socket.on('error', () => undefined);
      // Good for one request, and it does not say so.
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
        socket.once('data', () => socket.destroy());
      });
    });
    servers.push(server);
    const port = await listen(server);
    for (let i = 0; i < 3; i++) expect((await get(`${core}/pods/web:${port}/proxy/`)).text).toBe('ok');
    expect(connections).toBe(3);
  });

  test("reach a node's kubelet with the api-server's certificate, with or without its port", async () => {
    for (const node of ['n', `n:${kubeletPort}`, `https:n:${kubeletPort}`])
      expect((await get(`/api/v1/nodes/${node}/proxy/configz`)).json).toMatchObject({ url: '/configz' });
    const other = await get(`/api/v1/nodes/n:${plainPort}/proxy/a`);
    expect(other.json).toMatchObject({ code: 400, message: 'address not allowed' });
  });

  test('lead to pods only, whatever endpoints say', async () => {
    expect((await get(`${core}/services/trick/proxy/`)).json).toMatchObject({
      code: 503,
      message: 'no endpoints available for service "trick"',
    });
    expect((await get(`${core}/services/one:81/proxy/`)).json['message']).toBe(
      'no service port 81 found for service "one"',
    );
    expect((await get(`${core}/services/ftp:one:80/proxy/`)).json['message']).toBe(
      'invalid service request "ftp:one:80"',
    );
    expect((await get(`${core}/services/none/proxy/`)).code).toBe(404);
    for (const address of ['127.0.0.1', '169.254.169.254', '::1', 'fe80::1', '0.0.0.0', 'localhost'])
      expect(isProxyable(address)).toBe(false);
    expect(isProxyable('10.244.0.3')).toBe(true);
  });

  test('are for those who may', async () => {
    const { code, json } = await api.call('GET', `${core}/services/one/proxy/`, undefined, { token: tokens.nobody });
    expect(code).toBe(403);
    expect(json['message']).toContain('cannot get resource "services/proxy" in API group ""');
  });

  test('kubectl get --raw reads a page through a Service over HTTP/2', async () => {
    const { stdout } = await promisify(execFile)('kubectl', ['get', '--raw', `${core}/services/one/proxy/a?b=1`], {
      env: { ...process.env, KUBECONFIG: api.files.kubeconfig },
    });
    expect(JSON.parse(stdout)).toMatchObject({ method: 'GET', url: '/a?b=1' });
  });
});
