import { startTestServer, type Reply, type TestServer } from '../testing/test-server';

let api: TestServer;
beforeAll(async () => {
  api = await startTestServer();
});
afterAll(() => api.close());

const group = '/apis/resource.k8s.io/v1';
const inDefault = `${group}/namespaces/default`;
const selectors = (expression: string): object[] => [{ cel: { expression } }];
const claim = (expression: string): object => ({
  devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu', selectors: selectors(expression) } }] },
});
const write = (url: string, spec: object): Promise<Reply> =>
  api.call('POST', url, { metadata: { generateName: 'x-' }, spec });

describe('an expression of devices', () => {
  test.each([
    ['class', `${group}/deviceclasses`, 'spec.selectors[0]', (text: string) => ({ selectors: selectors(text) })],
    ['claim', `${inDefault}/resourceclaims`, 'spec.devices.requests[0].exactly.selectors[0]', claim],
    [
      'template',
      `${inDefault}/resourceclaimtemplates`,
      'spec.spec.devices.requests[0].exactly.selectors[0]',
      (text: string) => ({ spec: claim(text) }),
    ],
  ])('of a %s is refused when it does not compile or says neither yes nor no', async (_, url, at, spec) => {
    const broken = await write(url, spec('device.driver =='));
    expect(broken.code).toBe(422);
    expect(broken.json['message']).toContain(`${at}.cel.expression: Invalid value: "device.driver =="`);
    expect(broken.json['message']).toContain('compilation failed: ERROR: <input>:1:');
    expect((await write(url, spec('1 + 1'))).json['message']).toContain(
      `${at}.cel.expression: Invalid value: "1 + 1": must evaluate to bool`,
    );
    expect((await write(url, spec("device.driver == 'x.example'"))).code).toBe(201);
  });

  test('is checked in each of the alternatives of a request', async () => {
    const alternative = (name: string, text: string): object => ({
      name,
      deviceClassName: 'gpu',
      selectors: selectors(text),
    });
    const firstAvailable = [alternative('a', 'true'), alternative('b', 'nobody')];
    const { json } = await write(`${inDefault}/resourceclaims`, {
      devices: { requests: [{ name: 'r', firstAvailable }] },
    });
    expect(json['message']).toContain('spec.devices.requests[0].firstAvailable[1].selectors[0].cel.expression');
    expect(json['message']).not.toContain('firstAvailable[0]');
  });
});
