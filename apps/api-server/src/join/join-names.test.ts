import type { Node } from '@naru/api';
import { joinSecret, startTestServer } from '../testing/test-server';
import { createRequest } from '@naru/pki';
import { checkClaim, isNodeName } from './join-names';

const reserved = {
  serviceRanges: ['10.96.0.0/16', 'fd00:96::/112'],
  names: ['api-server'],
  addresses: ['10.95.0.1', 'fd00::1'],
};
const node = (name: string, address: string, ready = 'True'): Node => ({
  metadata: { name },
  status: { addresses: [{ type: 'InternalIP', address }], conditions: [{ type: 'Ready', status: ready }] },
});
const nodes = [node('node-1', '10.95.0.11'), node('gone', '10.95.0.12', 'Unknown')];
const check = (nodeName: string, ...addresses: string[]) => checkClaim({ nodeName, addresses }, reserved, nodes);

describe('a joining node', () => {
  test.each(['10.95.0.13', '172.18.0.5', 'fd00::2', '10.95.0.12'])('may have the address %s', address => {
    expect(() => check('node-2', address)).not.toThrow();
  });

  test('may join again, with another address too', () => {
    expect(() => check('node-1', '10.95.0.11')).not.toThrow();
    expect(() => check('node-1', '10.95.0.20')).not.toThrow();
  });

  test.each([
    ['127.0.0.1', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['0.0.0.0', 'unspecified'],
    ['10.96.0.1', 'is in the service range 10.96.0.0/16'],
    ['10.96.255.255', 'service range'],
    ['10.95.0.1', 'of the control plane'],
    ['fd00:0::1', 'of the control plane'],
    ['10.95.0.11', 'is an address of node "node-1"'],
  ])('may not have the address %s', (address, why) => {
    expect(() => check('node-2', '10.95.0.13', address)).toThrow(`addresses[1]: Invalid value: "${address}"`);
    expect(() => check('node-2', address)).toThrow(why);
  });

  test.each([
    'kubernetes',
    'localhost',
    'kubernetes.default',
    'kubernetes.default.svc',
    'x.y.svc.cluster.local',
    'a.cluster.local',
    'api-server',
  ])('may not be called %s', name => {
    expect(() => check(name)).toThrow(`nodeName: Invalid value: "${name}": is a name of the cluster itself`);
  });

  test('has the name of a subdomain', () => {
    for (const name of ['node-1', 'a.b.example', '1']) expect(isNodeName(name)).toBe(true);
    for (const name of ['', 'A', 'a..b', '-a', 'a.', 'a.-b', 'a'.repeat(254), 7]) expect(isNodeName(name)).toBe(false);
  });

  test('is told by the server what is wrong', async () => {
    const api = await startTestServer();
    const { request } = await createRequest({ subject: { commonName: 'system:node:n1' } });
    const requests = { kubelet: request, kubeletServing: request, kubeProxy: request };
    const join = (nodeName: string, address: string) =>
      api.call('POST', '/naru/v1/join', { nodeName, addresses: [address], requests }, { token: joinSecret });
    expect(await join('n1', '10.96.0.1')).toMatchObject({ code: 422, json: { reason: 'Invalid' } });
    expect((await join('kubernetes', '10.95.0.11')).code).toBe(422);
    expect((await join('n1', '10.95.0.11')).code).toBe(200);
    await api.close();
  });
});
