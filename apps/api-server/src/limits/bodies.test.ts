import { once } from 'node:events';
import https from 'node:https';
import { gzipSync } from 'node:zlib';
import { startTestServer, tokens, type TestServer } from '../testing/test-server';

const maps = '/api/v1/namespaces/default/configmaps';
const map = (name: string, data: object = {}) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data });
const json = { 'content-type': 'application/json' };
const yaml = { 'content-type': 'application/yaml' };
const megabyte = 1024 * 1024;

describe('bodies', () => {
  let api: TestServer;
  beforeAll(async () => {
    api = await startTestServer();
    await api.call('POST', maps, map('m', { a: 'b' }));
  });
  afterEach(async () => {
    // Whatever was sent, others are served.
    expect((await api.call('GET', `${maps}/m`)).code).toBe(200);
  });
  afterAll(() => api.close());

  const post = (body: string, headers: Record<string, string> = json) => api.call('POST', maps, body, { headers });

  test('of more than 3 MB are refused before they are read, and counted', async () => {
    const { code, json: status } = await post(JSON.stringify(map('big', { a: 'x'.repeat(3 * megabyte) })));
    expect(code).toBe(413);
    expect(status).toMatchObject({
      reason: 'RequestEntityTooLarge',
      message: 'Request entity too large: limit is 3145728',
    });
    const { text } = await api.call('GET', '/metrics');
    expect(text).toMatch(/apiserver_request_total\{verb="CREATE".*resource="configmaps".*code="413"\} 1/);
  });

  test('that never say how long they are are cut off at 3 MB', async () => {
    const { port } = api;
    const request = https.request({
      ...{ port, host: '127.0.0.1', path: maps, method: 'POST', rejectUnauthorized: false, agent: false },
      headers: { ...json, authorization: `Bearer ${tokens.admin}` },
    });
    request.on('error', () => undefined);
    const answered = once(request, 'response');
    const write = (): void => {
      while (!request.destroyed && request.write('x'.repeat(65_536)));
    };
    request.on('drain', write);
    write();
    const [response] = (await answered) as [{ statusCode: number; resume(): void }];
    expect(response.statusCode).toBe(413);
    request.destroy();
  });

  test('that grow beyond 3 MB when they are unpacked are refused', async () => {
    const packed = gzipSync(JSON.stringify(map('bomb', { a: 'x'.repeat(64 * megabyte) })));
    expect(packed.length).toBeLessThan(megabyte);
    const sent = await new Promise<number>((resolve, reject) => {
      const request = https.request(
        {
          ...{ port: api.port, host: '127.0.0.1', path: maps, method: 'POST', rejectUnauthorized: false, agent: false },
          headers: { ...json, 'content-encoding': 'gzip', authorization: `Bearer ${tokens.admin}` },
        },
        response => resolve(response.resume().statusCode ?? 0),
      );
      request.on('error', reject).end(packed);
    });
    expect(sent).toBe(413);
  });

  test.each([
    ['JSON lists', '['.repeat(100_000) + ']'.repeat(100_000), json],
    ['JSON objects', '{"a":'.repeat(50_000) + '1' + '}'.repeat(50_000), json],
    ['YAML in flow style', '['.repeat(100_000) + ']'.repeat(100_000), yaml],
    ['YAML lists on one line', '- '.repeat(50_000) + 'a', yaml],
    ['YAML by indentation', Array.from({ length: 600 }, (_, i) => `${' '.repeat(i)}a:`).join('\n'), yaml],
    [
      'JSON in a field that takes anything',
      `{"metadata":{"managedFields":[{"fieldsV1":${'{"f:a":'.repeat(5000)}{}${'}'.repeat(5000)}}]}}`,
      json,
    ],
  ])('that are too deep are refused: %s', async (_, body, headers) => {
    const { code, json: status } = await post(body, headers);
    // What is in a field that nobody knows is not looked at.
    expect([400, 422]).toContain(code);
    expect(status['kind']).toBe('Status');
  });

  test('of YAML with aliases that multiply are refused', async () => {
    const lines = ['a0: &a0 x'];
    for (let i = 1; i < 30; i++)
      lines.push(
        `a${i}: &a${i} [${Array(10)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      );
    expect((await post(lines.join('\n'), yaml)).json['message']).toContain('error converting YAML to JSON');
  });

  test('of YAML that would take long to read are refused', async () => {
    const { code, json: status } = await post(`data:\n${'  k: v\n'.repeat(megabyte / 7)}`, yaml);
    expect(code).toBe(413);
    expect(status['message']).toContain('send it as JSON');
  });

  test('of more fields than can have owners are taken without them, and not by server-side apply', async () => {
    const keys = Array.from({ length: 50_001 }, (_, i) => [`k${i}`, '']);
    const many = map('many', Object.fromEntries(keys) as object);
    const created = await post(JSON.stringify(many));
    expect([created.code, created.json['metadata']?.managedFields]).toEqual([201, undefined]);
    const few = map('many', { a: 'b' });
    const apply = (object: object) =>
      api.call('PATCH', `${maps}/many?fieldManager=test`, JSON.stringify(object), {
        headers: { 'content-type': 'application/apply-patch+yaml' },
      });
    expect(await apply(few)).toMatchObject({
      code: 413,
      json: { message: expect.stringContaining('limit is 50000 fields for server-side apply') as string },
    });
    expect((await api.call('PUT', `${maps}/many`, map('many', { a: 'b' }))).code).toBe(200);
    const applied = await apply(few);
    expect([applied.code, applied.json['metadata'].managedFields[0].manager]).toEqual([200, 'test']);
    const refused = await apply(many);
    expect(refused.code).toBe(413);
    const updated = await api.call('PUT', `${maps}/many`, many);
    expect([updated.code, updated.json['metadata']?.managedFields]).toEqual([200, undefined]);
  });

  test('that cannot be read say where', async () => {
    expect((await post('{"metadata":')).json['message']).toContain('json parse error');
    expect((await post('a: [', yaml)).json['message']).toContain('error converting YAML to JSON');
    expect((await post('x', { 'content-type': 'text/html' })).code).toBe(415);
    expect((await post('not gzip', { ...json, 'content-encoding': 'gzip' })).code).toBe(400);
    expect((await post(JSON.stringify({ apiVersion: {}, kind: [] }))).json['message']).toContain(
      'cannot unmarshal object into Go struct field .apiVersion of type string',
    );
  });
});

describe('patches', () => {
  let api: TestServer;
  beforeAll(async () => {
    api = await startTestServer();
    await api.call('POST', maps, map('m', { a: 'x'.repeat(100_000) }));
  });
  afterAll(() => api.close());

  const patch = (type: string, body: string) =>
    api.call('PATCH', `${maps}/m?fieldManager=test`, body, { headers: { 'content-type': `application/${type}` } });

  test('of more than ten thousand operations are refused', async () => {
    const operations = Array(10_001).fill({ op: 'test', path: '/kind', value: 'ConfigMap' });
    const { code, json: status } = await patch('json-patch+json', JSON.stringify(operations));
    expect(code).toBe(413);
    expect(status['message']).toContain('10000');
  });

  test('that copy an object over and over are refused', async () => {
    const operations = Array.from({ length: 5000 }, (_, i) => ({
      op: 'copy',
      from: '/data',
      path: `/metadata/annotations/a${i}`,
    }));
    const { code } = await patch(
      'json-patch+json',
      JSON.stringify([{ op: 'add', path: '/metadata/annotations', value: {} }, ...operations]),
    );
    expect([400, 413, 422]).toContain(code);
  });

  test('that move the elements of a long list over and over are refused', async () => {
    const list = { op: 'add', path: '/metadata/finalizers', value: Array<string>(50_000).fill('example.com/a') };
    const moves = Array<object>(9000).fill({ op: 'add', path: '/metadata/finalizers/0', value: 'example.com/b' });
    const { code, json: status } = await patch('json-patch+json', JSON.stringify([list, ...moves]));
    expect([code, status['message']]).toEqual([422, expect.stringContaining('lists that are too long')]);
  });

  test.each(['merge-patch+json', 'strategic-merge-patch+json', 'apply-patch+yaml'])(
    'that are too deep are refused: %s',
    async type => {
      const { code } = await patch(type, `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`);
      expect(code).toBe(400);
    },
  );

  test('that make an object larger than the store takes are refused', async () => {
    const { code } = await patch('merge-patch+json', JSON.stringify({ data: { b: 'x'.repeat(2 * megabyte) } }));
    expect([413, 422]).toContain(code);
    expect((await api.call('GET', `${maps}/m`)).json['data']).not.toHaveProperty('b');
  });
});
