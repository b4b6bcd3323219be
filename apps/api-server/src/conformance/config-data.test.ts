import { startTestServer, type TestServer } from '../testing/test-server';

let api: TestServer;
const namespace = '/api/v1/namespaces/data';
beforeAll(async () => {
  api = await startTestServer();
  await api.call('POST', '/api/v1/namespaces', { metadata: { name: 'data' } });
});
afterAll(() => api.close());

// Values of Secrets are base64 of these.
const [one, two] = ['b25l', 'dHdv'];

describe.each(['configmaps', 'secrets'])('%s', resource => {
  const collection = `${namespace}/${resource}`;

  test('have no empty keys', async () => {
    const { code, json } = await api.call('POST', collection, { metadata: { name: 'empty' }, data: { '': one } });
    expect(code).toBe(422);
    expect(json['details'].causes).toEqual([expect.objectContaining({ field: 'data[]' })]);
  });

  test('that are immutable keep their data, and stay so until they are deleted', async () => {
    const path = `${collection}/constant`;
    const object = { metadata: { name: 'constant' }, data: { a: one } };
    expect((await api.call('POST', collection, object)).code).toBe(201);
    // As long as it may change it does.
    expect((await api.call('PUT', path, { ...object, data: { a: two } })).code).toBe(200);
    expect((await api.call('PUT', path, { ...object, data: { a: two }, immutable: true })).code).toBe(200);
    const refusals = [
      { ...object, data: { a: two } },
      { ...object, data: { a: one }, immutable: true },
    ];
    for (const next of refusals) expect((await api.call('PUT', path, next)).code).toBe(422);
    const labelled = {
      ...object,
      metadata: { name: 'constant', labels: { a: 'b' } },
      data: { a: two },
      immutable: true,
    };
    expect((await api.call('PUT', path, labelled)).code).toBe(200);
    expect((await api.call('DELETE', path)).code).toBe(200);
  });
});
