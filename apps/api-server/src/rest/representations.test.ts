import https from 'node:https';
import { gunzipSync } from 'node:zlib';
import { eventually, startTestServer, tokens, type TestServer } from '../testing/test-server';

const maps = '/api/v1/namespaces/default/configmaps';
const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const partial = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
const partialList = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';
const protobuf = 'application/vnd.kubernetes.protobuf';

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
  for (const name of ['a', 'b', 'c'])
    await api.call('POST', maps, { metadata: { name, labels: { of: 'test' } }, data: { text: name } });
});
afterAll(() => api.close());

const get = (path: string, headers: Record<string, string> = {}) => api.call('GET', path, undefined, { headers });

describe('an answer', () => {
  test('is a table or metadata alone, for one object and for many', async () => {
    const one = (await get(`${maps}/a`, { accept: table })).json;
    expect(one).toMatchObject({
      kind: 'Table',
      apiVersion: 'meta.k8s.io/v1',
      rows: [{ cells: ['a', 1, expect.any(String)] }],
    });
    const bare = (await get(`${maps}?labelSelector=of%3Dtest&includeObject=None`, { accept: table })).json;
    expect(bare['rows']).toHaveLength(3);
    expect(bare['rows'][0]).not.toHaveProperty('object.metadata');
    expect((await get(`${maps}/a`, { accept: partial })).json).toMatchObject({
      kind: 'PartialObjectMetadata',
      metadata: { name: 'a' },
    });
    const list = (await get(maps, { accept: partialList })).json;
    expect(list).toMatchObject({ kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' });
    expect(list['items'][0]).not.toHaveProperty('data');
  });

  test('is JSON for who would rather have protobuf, and 406 for who takes nothing else', async () => {
    const fallback = await get(maps, { accept: `${protobuf},application/json` });
    expect([fallback.code, fallback.headers['content-type']]).toEqual([200, 'application/json']);
    const refused = await get(maps, { accept: protobuf });
    expect(refused.json).toMatchObject({ kind: 'Status', code: 406, reason: 'NotAcceptable' });
    expect((await get(maps, { accept: 'text/html' })).code).toBe(406);
    expect((await get(`${maps}/a`, { accept: 'application/yaml' })).text).toContain('kind: ConfigMap\n');
  });

  test('that is no stored object is not a table: 406', async () => {
    const reviews = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    const body = { spec: { resourceAttributes: { namespace: 'default', verb: 'get', resource: 'pods' } } };
    const ask = (accept: string) => api.call('POST', reviews, body, { headers: { accept } });
    expect((await ask(table)).json).toMatchObject({ kind: 'Status', code: 406 });
    expect((await ask(`${table},application/json`)).json).toMatchObject({ status: { allowed: true } });
  });

  test('that is long is compressed for who can unpack it', async () => {
    await api.call('POST', maps, { metadata: { name: 'long' }, data: { text: 'x'.repeat(200_000) } });
    const packed = await new Promise<Buffer>((resolve, reject) => {
      const options = {
        ...{ port: api.port, host: '127.0.0.1', path: `${maps}/long`, rejectUnauthorized: false, agent: false },
        headers: { authorization: `Bearer ${tokens.admin}`, 'accept-encoding': 'gzip' },
      };
      https.get(options, async response => resolve(Buffer.concat(await response.toArray()))).on('error', reject);
    });
    expect(packed.length).toBeLessThan(20_000);
    expect(JSON.parse(gunzipSync(packed).toString()).data.text).toHaveLength(200_000);
    expect((await get(`${maps}/a`, { 'accept-encoding': 'gzip' })).headers).not.toHaveProperty('content-encoding');
    await api.call('DELETE', `${maps}/long`);
  });
});

describe('a list', () => {
  test.each([
    [
      'resourceVersionMatch=Exact',
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
    ],
    [
      'resourceVersionMatch=Exact&resourceVersion=0',
      'resourceVersionMatch "exact" is forbidden for resourceVersion "0"',
    ],
    [
      'resourceVersionMatch=Nope&resourceVersion=1',
      'resourceVersionMatch: Unsupported value: "Nope": supported values: "Exact", "NotOlderThan", ""',
    ],
    [
      'resourceVersionMatch=Exact&resourceVersion=1&continue=x',
      'resourceVersionMatch is forbidden when continue is provided',
    ],
    ['sendInitialEvents=true', 'sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list'],
    [
      'watch=1&resourceVersionMatch=NotOlderThan',
      'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    ],
    ['watch=1&sendInitialEvents=true', 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'],
  ])('with %s is refused as upstream does', async (query, message) => {
    const { code, json } = await get(`${maps}?${query}`);
    expect([code, json['reason']]).toEqual([422, 'Invalid']);
    expect(json['message']).toMatch(/^ListOptions.meta.k8s.io "" is invalid: /);
    expect(json['message']).toContain(message);
  });

  test.each(['limit=x', 'limit=1.5', 'timeoutSeconds=1e9', 'limit=99999999999999999999'])(
    'with %s is a bad request',
    async query => expect((await get(`${maps}?${query}`)).json['message']).toMatch(/^strconv.ParseInt: parsing /),
  );

  test('of an exact version is that version or none', async () => {
    const { json } = await get(maps);
    const version = json['metadata'].resourceVersion;
    const exact = await get(`${maps}?resourceVersion=${version}&resourceVersionMatch=Exact`);
    expect(exact.json['metadata'].resourceVersion).toBe(version);
    const future = await get(`${maps}?resourceVersion=${Number(version) + 1000}&resourceVersionMatch=NotOlderThan`);
    expect(future.json).toMatchObject({
      code: 504,
      reason: 'Timeout',
      details: { causes: [{ reason: 'ResourceVersionTooLarge' }] },
    });
  });

  test('can be continued from the same token again, whatever other lists begin at the same moment', async () => {
    const page = async (query: string) => (await get(`${maps}?limit=1&labelSelector=of%3Dtest${query}`)).json;
    const names = (list: { items: { metadata: { name: string } }[] }) =>
      list.items.map(({ metadata }) => metadata.name);
    const first = await page('');
    const token = `&continue=${first['metadata'].continue}`;
    expect(names((await page(token)) as never)).toEqual(['b']);
    await get('/api/v1/namespaces/kube-system/configmaps?limit=1');
    await api.call('DELETE', `${maps}/b`);
    const again = await page(token);
    expect(names(again as never)).toEqual(['b']);
    expect(again['metadata']).toMatchObject({ resourceVersion: first['metadata'].resourceVersion });
    expect(names((await page(`&continue=${again['metadata'].continue}`)) as never)).toEqual(['c']);
    await api.call('POST', maps, { metadata: { name: 'b', labels: { of: 'test' } }, data: { text: 'b' } });
  });

  test('that many clients read page by page while objects come stays for each as it began', async () => {
    const list = `${maps}?limit=2&labelSelector=of%3Dcrowd`;
    const add = (name: string) => api.call('POST', maps, { metadata: { name, labels: { of: 'crowd' } } });
    for (const name of ['crowd-a', 'crowd-b', 'crowd-c']) await add(name);
    const tokens: string[] = [];
    for (let client = 0; client < 20; client++) {
      tokens.push((await get(list)).json['metadata'].continue);
      await add(`crowd-d${client}`);
    }
    for (const [client, token] of tokens.entries()) {
      const { code, json } = await get(`${list.replace('limit=2', 'limit=500')}&continue=${token}`);
      expect([code, json['items'].length]).toEqual([200, 1 + client]);
    }
    await api.call('DELETE', list);
  });

  test('that is continued too late says so, and how to go on', async () => {
    const first = (await get(`${maps}?limit=1&labelSelector=of%3Dtest`)).json;
    const token = JSON.parse(Buffer.from(first['metadata'].continue, 'base64url').toString());
    // As if it were from a time that nobody remembers.
    const old = Buffer.from(JSON.stringify({ ...token, rv: 1 })).toString('base64url');
    const { json } = await get(`${maps}?limit=1&labelSelector=of%3Dtest&continue=${old}`);
    expect(json).toMatchObject({ code: 410, reason: 'Expired' });
    expect(json['message']).toMatch(/^The provided continue parameter is too old to display a consistent list result/);
    const rest = await get(`${maps}?labelSelector=of%3Dtest&continue=${json['metadata'].continue}`);
    expect(rest.json['items'].map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual(['b', 'c']);
  });
});

test('a watch of metadata alone shows nothing else, and its bookmark ends the initial events', async () => {
  const lines: { type: string; object: { kind: string; data?: unknown; metadata: { annotations?: unknown } } }[] = [];
  const query =
    'watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=30';
  const request = https.get(
    {
      ...{ port: api.port, host: '127.0.0.1', path: `${maps}?${query}`, rejectUnauthorized: false, agent: false },
      headers: { authorization: `Bearer ${tokens.admin}`, accept: partial },
    },
    response => {
      let rest = '';
      response.on('error', () => undefined);
      response.on('data', chunk => {
        const parts = (rest + String(chunk)).split('\n');
        rest = parts.pop()!;
        for (const part of parts) lines.push(JSON.parse(part));
      });
    },
  );
  request.on('error', () => undefined);
  await eventually(() => lines.some(({ type }) => type === 'BOOKMARK'));
  request.destroy();
  const added = lines.filter(({ type }) => type === 'ADDED');
  expect(added.length).toBeGreaterThanOrEqual(3);
  for (const { object } of added) {
    expect(object.kind).toBe('PartialObjectMetadata');
    expect(object).not.toHaveProperty('data');
  }
  const bookmark = lines.find(({ type }) => type === 'BOOKMARK')!;
  expect(bookmark.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' });
});

describe('schemas', () => {
  test('are kept for ever under their hash, led to the present one, and not sent twice', async () => {
    const { json } = await get('/openapi/v3');
    const url = json['paths']['apis/apps/v1'].serverRelativeURL as string;
    const { code, headers } = await get(url);
    expect([code, headers['cache-control']]).toEqual([200, 'public, immutable']);
    expect(Date.parse(String(headers['expires']))).toBeGreaterThan(Date.now());
    expect((await get(url, { 'if-none-match': String(headers['etag']) })).code).toBe(304);
    const moved = await get('/openapi/v3/apis/apps/v1?hash=OLD');
    expect([moved.code, moved.headers['location']]).toEqual([301, url]);
    expect((await get('/openapi/v3/apis/apps/v1')).headers).not.toHaveProperty('cache-control');
  });
});

describe('health', () => {
  test('is told check by check, and without those that are left out', async () => {
    expect((await get('/livez?verbose')).text).toMatch(/^\[\+\]ping ok\n(?:\[\+\]\S+ ok\n)*livez check passed\n$/);
    expect((await get('/readyz/ping')).text).toBe('ok');
    expect((await get('/readyz/nope')).code).toBe(404);
    const without = (await get('/readyz?verbose&exclude=ping&exclude=nope')).text;
    expect(without).not.toContain('[+]ping');
    expect(without).toContain(
      'warn: some health checks cannot be excluded: no matches for "nope"\nreadyz check passed',
    );
    expect((await api.call('GET', '/readyz', undefined, { token: '' })).text).toBe('ok');
  });

  test('is counted in metrics under upstream names', async () => {
    // Who has gone is counted until that is noticed.
    const alone = 'apiserver_current_inflight_requests{request_kind="readOnly"} 1';
    const { text } = await eventually(async () => {
      const reply = await get('/metrics');
      return reply.text.includes(alone) ? reply : undefined;
    });
    for (const name of [
      'apiserver_request_total{verb="LIST",group="",version="v1",resource="configmaps"',
      'apiserver_request_duration_seconds_bucket{le="0.005",verb="GET"',
      'apiserver_resource_objects{group="",resource="configmaps"}',
      'apiserver_storage_objects{resource="deployments.apps"} 0',
      'etcd_request_duration_seconds_bucket{le="0.005",operation="create",group="",resource="configmaps"}',
      'etcd_requests_total{operation="list",group="apps",resource="deployments"} 1',
      'apiserver_longrunning_requests',
      'apiserver_tls_handshake_errors_total',
    ])
      expect(text).toContain(name);
  });

  test('comes with the version', async () => {
    const { json } = await get('/version');
    expect(json).toMatchObject({
      major: '1',
      minor: expect.stringMatching(/^\d+$/),
      gitVersion: expect.stringMatching(/^v1\.\d+/),
    });
  });
});
