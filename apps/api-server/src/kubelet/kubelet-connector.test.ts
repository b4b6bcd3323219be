import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { StatusError } from '@naru/foundation';
import { Authority, createAuthority } from '@naru/pki';
import type { ResourceCall } from '../rest/resource-handler';
import { connect } from 'node:tls';
import { startTestServer, tokens } from '../testing/test-server';
import { KubeletConnector, type KubeletConnectorDeps } from './kubelet-connector';

describe("a kubelet's refusal", () => {
  let kubelet: https.Server;
  let connector: KubeletConnector;
  let answer: { code: number; type: string; text: string };
  /** Closes connections that are used a second time. */
  let closesKept = false;
  const used = new WeakSet<object>();

  beforeAll(async () => {
    const authority = await Authority.load(await createAuthority());
    const { certificate, key } = await authority.issue({
      subject: { commonName: 'node' },
      usages: ['server', 'client'],
      ipAddresses: ['127.0.0.1'],
    });
    kubelet = https.createServer({ cert: certificate, key }, ({ socket }, response) => {
      if (closesKept && used.has(socket)) return void socket.destroy();
      used.add(socket);
      const switching = { connection: 'Upgrade', upgrade: 'other' };
      response.writeHead(answer.code, { 'content-type': answer.type, ...(answer.code === 101 && switching) });
      response.end(answer.text);
    });
    kubelet.listen(0, '127.0.0.1');
    await once(kubelet, 'listening');
    const node = {
      status: {
        // Of both families: the first is the one.
        addresses: [
          { type: 'InternalIP', address: '127.0.0.1' },
          { type: 'InternalIP', address: '::2' },
        ],
        daemonEndpoints: { kubeletEndpoint: { Port: (kubelet.address() as AddressInfo).port } },
      },
    };
    const pod = { metadata: { name: 'p' }, spec: { nodeName: 'n', containers: [{ name: 'c' }] } };
    const objects: Record<string, unknown> = { pods: pod, nodes: node };
    connector = new KubeletConnector({
      storage: { cache: (kind: string) => ({ get: () => ({ bytes: Buffer.from(JSON.stringify(objects[kind])) }) }) },
      scheme: { byResource: (_group: string, _version: string, resource: string) => resource },
      authorizer: { require: () => undefined },
      tls: { certificate, key, ca: authority.certificate },
    } as unknown as KubeletConnectorDeps);
  });
  afterAll(() => {
    connector.close();
    kubelet.close();
  });

  async function logs(): Promise<{ code: number; text: string }> {
    let code = 0;
    const response = Object.assign(new PassThrough(), { writeHead: (sent: number) => (code = sent) });
    const path = { group: '', version: 'v1', resource: 'pods', subresource: 'log', namespace: 'd', name: 'p' };
    const call = { path, query: new URLSearchParams(), request: { method: 'GET', headers: {} }, response };
    await connector.handle({ ...call, signal: new AbortController().signal } as unknown as ResourceCall);
    return { code, text: (await response.toArray()).join('') };
  }

  test.each([
    [400, 'BadRequest', 'container "c" in pod "p" is waiting to start: ContainerCreating'],
    [404, 'NotFound', 'pod does not exist'],
    [500, 'InternalError', 'the disk is gone'],
  ])('of %d in plain text becomes a Status', async (code, reason, text) => {
    answer = { code, type: 'text/plain; charset=utf-8', text: `${text}\n` };
    const error = await logs().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StatusError);
    expect(error).toMatchObject({ reason, message: text, code });
  });

  test('in JSON, and logs, pass as they are', async () => {
    answer = { code: 400, type: 'application/json', text: '{"kind":"Status"}' };
    expect(await logs()).toEqual({ code: 400, text: '{"kind":"Status"}' });
    answer = { code: 200, type: 'text/plain', text: 'a line\n' };
    expect(await logs()).toEqual({ code: 200, text: 'a line\n' });
  });

  test('to speak the same protocol is an error', async () => {
    answer = { code: 101, type: '', text: '' };
    await expect(logs()).rejects.toThrow('unexpected answer 101 Switching Protocols');
  });

  test('is none when it has closed a kept connection meanwhile: it is asked again', async () => {
    answer = { code: 200, type: 'text/plain', text: 'a line\n' };
    await logs();
    closesKept = true;
    expect(await logs()).toEqual({ code: 200, text: 'a line\n' });
  });
});

test('who may not is told so first: before the missing upgrade, and before the body', async () => {
  const api = await startTestServer();
  const pods = '/api/v1/namespaces/default/pods';
  const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
  expect((await api.call('POST', `${pods}/p/exec`, undefined, as(tokens.nobody))).code).toBe(403);
  expect((await api.call('POST', `${pods}/p/exec`, undefined, as(tokens.admin))).code).toBe(400);
  const socket = connect({ port: api.port, host: '127.0.0.1', rejectUnauthorized: false });
  for (const line of [`POST ${pods} HTTP/1.1`, 'host: a', `authorization: Bearer ${tokens.nobody}`])
    socket.write(`${line}\r\n`);
  socket.write('content-length: 10\r\n\r\n{');
  expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1.1 403/);
  socket.destroy();
  await api.close();
});
