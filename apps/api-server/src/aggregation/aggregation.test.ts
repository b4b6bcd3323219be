import { execFile } from 'node:child_process';
import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { Authority, createAuthority } from '@naru/pki';
import { podIP, startFakeKubelet, type FakeKubelet } from '../testing/fake-kubelet';
import { eventually, startTestServer, tokens, type TestServer } from '../testing/test-server';

const version = '/apis/ext.example/v1';
const things = `${version}/namespaces/default/things`;
const registrations = '/apis/apiregistration.k8s.io/v1/apiservices';
const registration = `${registrations}/v1.ext.example`;

const thing = (name: string) => ({
  apiVersion: 'ext.example/v1',
  kind: 'Thing',
  metadata: { name, namespace: 'default' },
});
const gvk = { group: 'ext.example', version: 'v1', kind: 'Thing' };
const documents: Record<string, unknown> = {
  [version]: {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: 'ext.example/v1',
    resources: [
      {
        name: 'things',
        singularName: 'thing',
        namespaced: true,
        kind: 'Thing',
        verbs: ['get', 'list'],
        shortNames: ['th'],
      },
      { name: 'things/status', singularName: '', namespaced: true, kind: 'Thing', verbs: ['get'] },
    ],
  },
  '/openapi/v3': { paths: { 'apis/ext.example/v1': { serverRelativeURL: `/openapi/v3${version}?hash=ABC` } } },
  [`/openapi/v3${version}`]: {
    openapi: '3.0.0',
    info: { title: 'ext', version: '1' },
    paths: {
      [`${version}/namespaces/{namespace}/things`]: {
        get: { 'x-kubernetes-action': 'list', 'x-kubernetes-group-version-kind': gvk },
      },
    },
    components: {
      schemas: {
        Thing: {
          type: 'object',
          description: 'A thing of the extension.',
          'x-kubernetes-group-version-kind': [gvk],
          properties: { weight: { type: 'integer', description: 'In grams.' } },
        },
      },
    },
  },
  [things]: {
    kind: 'ThingList',
    apiVersion: 'ext.example/v1',
    metadata: { resourceVersion: '1' },
    items: [thing('a')],
  },
  [`${things}/a`]: thing('a'),
};

describe('an extension server behind an APIService', () => {
  let api: TestServer;
  let kubelet: FakeKubelet;
  const connections: Duplex[] = [];
  let extension: https.Server;
  let authority: Authority;
  /** What it answers by changing the protocol, unasked. */
  let switching = '';
  const seen: { url: string; headers: Record<string, unknown>; certificate: string; trusted: boolean }[] = [];

  const patch = (path: string, body: unknown) =>
    api.call('PATCH', path, body, { headers: { 'content-type': 'application/merge-patch+json' } });
  const condition = async () => (await api.call('GET', registration)).json['status']?.conditions?.[0];
  const becomes = (reason: string) =>
    eventually(async () => {
      const current = await condition();
      return current?.reason === reason ? current : undefined;
    });

  beforeAll(async () => {
    api = await startTestServer();
    kubelet = await startFakeKubelet(api);
    authority = await Authority.load(await createAuthority());
    const serving = await authority.issue({
      subject: { commonName: 'ext' },
      usages: ['server'],
      dnsNames: ['ext.default.svc'],
    });
    const trust = (
      await api.call('GET', '/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication')
    ).json['data'];
    extension = https.createServer(
      {
        cert: serving.certificate,
        key: serving.key,
        // As an extension server is told to do it.
        ca: trust['requestheader-client-ca-file'],
        requestCert: true,
        rejectUnauthorized: false,
      },
      (request, response) => {
        const socket = request.socket as TLSSocket;
        const { url = '', headers } = request;
        const certificate = String(socket.getPeerCertificate().subject?.CN);
        seen.push({ url, headers, certificate, trusted: socket.authorized });
        const asked = url.split('?')[0]!;
        if (asked === switching) return void response.writeHead(101, { connection: 'Upgrade', upgrade: 'other' }).end();
        const document = documents[asked];
        response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' });
        response.end(JSON.stringify(document ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 404 }));
      },
    );
    extension.on('connection', socket => connections.push(socket));
    extension.listen(0, '127.0.0.1');
    await once(extension, 'listening');
  });
  afterAll(async () => {
    extension.close();
    // Those that were answered 101 are the server's no more.
    for (const connection of connections) connection.destroy();
    kubelet.close();
    await api.close();
  });

  test('is asked only when it can be reached, and its status says why not', async () => {
    const created = await api.call('POST', registrations, {
      metadata: { name: 'v1.ext.example' },
      spec: {
        group: 'ext.example',
        version: 'v1',
        groupPriorityMinimum: 100,
        versionPriority: 10,
        caBundle: Buffer.from(authority.certificate).toString('base64'),
        service: { namespace: 'default', name: 'ext' },
      },
    });
    expect(created.code).toBe(201);
    expect((await becomes('ServiceNotFound')).message).toBe('service/ext in "default" is not present');
    await api.call('POST', '/api/v1/namespaces/default/services', {
      metadata: { name: 'ext' },
      spec: { ports: [{ port: 444 }] },
    });
    expect((await becomes('ServicePortError')).message).toBe('service/ext in "default" is not listening on port 443');
    await patch('/api/v1/namespaces/default/services/ext', { spec: { ports: [{ port: 443 }] } });
    expect((await becomes('EndpointsNotFound')).message).toBe(
      'cannot find endpointslices for service/ext in "default"',
    );
    const slices = '/apis/discovery.k8s.io/v1/namespaces/default/endpointslices';
    const { port } = extension.address() as AddressInfo;
    await api.call('POST', slices, {
      metadata: { name: 'ext-1', labels: { 'kubernetes.io/service-name': 'ext' } },
      addressType: 'IPv4',
      ports: [{ name: '', port }],
      endpoints: [{ addresses: [podIP], conditions: { ready: false } }],
    });
    expect((await becomes('MissingEndpoints')).status).toBe('False');
    expect(await api.call('GET', things)).toMatchObject({ code: 503, text: 'service unavailable\n' });
    await patch(`${slices}/ext-1`, { endpoints: [{ addresses: [podIP], conditions: { ready: true } }] });
    expect(await becomes('Passed')).toMatchObject({ type: 'Available', status: 'True', message: 'all checks passed' });
  });

  test('gets the requests for its version, with the word of who asks and the certificate that proves it', async () => {
    const forged = { 'x-remote-user': 'root', 'x-remote-group': 'system:masters', 'x-remote-extra-a': 'b' };
    const { code, json } = await api.call('GET', `${things}?limit=5`, undefined, { headers: forged });
    expect([code, json['items']]).toEqual([200, [thing('a')]]);
    // Whether it answers at all is looked at too, now and then.
    const request = seen.find(({ url }) => url === `${things}?limit=5`)!;
    expect(request).toMatchObject({
      certificate: 'front-proxy-client',
      trusted: true,
      headers: { 'x-remote-user': 'admin', host: 'ext.default.svc' },
    });
    expect(request.headers['x-remote-group']).toBe('system:masters, system:authenticated');
    expect(request.headers).not.toHaveProperty('x-remote-extra-a');
    expect(request.headers).not.toHaveProperty('authorization');
    expect((await api.call('GET', `${things}/none`)).json).toMatchObject({ kind: 'Status', code: 404 });
  });

  test('gets nothing of those who may not', async () => {
    const before = seen.length;
    const { code, json } = await api.call('GET', things, undefined, { token: tokens.nobody });
    expect(code).toBe(403);
    expect(json['message']).toContain('cannot list resource "things" in API group "ext.example"');
    expect(seen.slice(before).filter(({ url }) => url.startsWith(things))).toEqual([]);
  });

  test('is found in every kind of discovery, and its schema in the index', async () => {
    const { json: groups } = await api.call('GET', '/apis');
    expect(groups['groups']).toContainEqual(expect.objectContaining({ name: 'ext.example' }));
    expect((await api.call('GET', '/apis/ext.example')).json['versions']).toEqual([
      { groupVersion: 'ext.example/v1', version: 'v1' },
    ]);
    expect((await api.call('GET', version)).json).toEqual(documents[version]);
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const { json } = await api.call('GET', '/apis', undefined, { headers: { accept } });
    const found = json['items'].find((item: { metadata: { name: string } }) => item.metadata.name === 'ext.example');
    expect(found.versions).toMatchObject([
      {
        version: 'v1',
        freshness: 'Current',
        resources: [{ resource: 'things', scope: 'Namespaced', subresources: [{ subresource: 'status' }] }],
      },
    ]);
    const { json: index } = await api.call('GET', '/openapi/v3');
    expect(index['paths']['apis/ext.example/v1'].serverRelativeURL).toBe(`/openapi/v3${version}?hash=ABC`);
    expect((await api.call('GET', `/openapi/v3${version}?hash=ABC`)).json).toEqual(documents[`/openapi/v3${version}`]);
  });

  test('serves kubectl get and explain like any other resource', async () => {
    const kubectl = async (...args: string[]): Promise<string> =>
      (
        await promisify(execFile)('kubectl', args, {
          env: { ...process.env, HOME: api.folder, KUBECONFIG: api.files.kubeconfig },
        })
      ).stdout;
    expect(await kubectl('get', 'th', '-o', 'name')).toBe('thing.ext.example/a\n');
    expect(await kubectl('explain', 'things.weight')).toContain('In grams.');
    expect(await kubectl('get', 'apiservices', 'v1.ext.example')).toMatch(/v1\.ext\.example +default\/ext +True/);
  });

  test('must have a certificate of the bundle for its name, unless that is waived', async () => {
    const other = await Authority.load(await createAuthority());
    await patch(registration, { spec: { caBundle: Buffer.from(other.certificate).toString('base64') } });
    await eventually(async () => {
      const { code, json } = await api.call('GET', things);
      return code === 503 && String(json['message']).startsWith('error trying to reach service: ');
    });
    await patch(registration, { spec: { caBundle: null, insecureSkipTLSVerify: true } });
    await eventually(async () => (await api.call('GET', things)).code === 200);
  });

  test('that would speak another protocol is not available', async () => {
    const look = (label: string) =>
      patch('/api/v1/namespaces/default/services/ext', { metadata: { labels: { look: label } } });
    switching = things;
    expect((await api.call('GET', things)).json).toMatchObject({
      code: 503,
      message: 'error trying to reach service: unexpected answer 101 Switching Protocols',
    });
    switching = '/apis/ext.example/v1';
    await look('now');
    expect((await becomes('FailedDiscoveryCheck')).message).toContain('unexpected answer 101 Switching Protocols');
    switching = '';
    await look('once more');
    await becomes('Passed');
  });

  test('that is gone answers 503 and is stale in discovery, which goes on', async () => {
    extension.close();
    extension.closeAllConnections();
    await patch('/api/v1/namespaces/default/services/ext', { metadata: { labels: { look: 'again' } } });
    expect((await becomes('FailedDiscoveryCheck')).message).toContain('failing or missing response from https://');
    expect((await api.call('GET', things)).code).toBe(503);
    const accept = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';
    const { code, json } = await api.call('GET', '/apis', undefined, { headers: { accept } });
    expect(code).toBe(200);
    const found = json['items'].find((item: { metadata: { name: string } }) => item.metadata.name === 'ext.example');
    expect(found.versions[0]).toMatchObject({ freshness: 'Stale', resources: [{ resource: 'things' }] });
    await api.call('DELETE', registration);
    await eventually(async () => (await api.call('GET', things)).code === 404);
  });

  test('may read whom to trust by a role of its own', async () => {
    const role =
      '/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles/extension-apiserver-authentication-reader';
    expect((await api.call('GET', role)).json['rules']).toEqual([
      {
        apiGroups: [''],
        resources: ['configmaps'],
        resourceNames: ['extension-apiserver-authentication'],
        verbs: ['get', 'list', 'watch'],
      },
    ]);
  });
});
