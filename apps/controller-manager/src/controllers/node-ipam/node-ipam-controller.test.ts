import { nodes } from '@naru/api';
import { StatusError } from '@naru/foundation';
import { MemoryObjects, eventually } from '@naru/testing';
import { makeNode, startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { nodeIpamController } from './node-ipam-controller';

const cidrs = async (api: MemoryObjects) => (await api.list(nodes)).items.map(({ spec }) => spec?.podCIDR);

test('nodes get subnets of their own, also through conflicts, and around those taken before a restart', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('new'));
  api.seed(nodes, makeNode('old', { spec: { podCIDR: '10.244.0.0/24' } }));
  api.failNext(new StatusError('Conflict', 'made up'));
  const cluster = await startControllers([nodeIpamController], { api });
  for (let i = 0; i < 5; i++) api.seed(nodes, makeNode(`n${i}`));
  await eventually(async () => {
    const given = await cidrs(api);
    expect(given).not.toContain(undefined);
    expect(new Set(given).size).toBe(7);
  });
  await cluster.stop();
});

test('a released subnet goes to the next node when no other is left', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('a'));
  const cluster = await startControllers([nodeIpamController], {
    api,
    config: { clusterCidrs: [{ cidr: '10.1.0.0/24', nodeMask: 24 }] },
  });
  await eventually(async () => expect(await cidrs(api)).toEqual(['10.1.0.0/24']));
  await api.delete(nodes, { name: 'a' });
  api.seed(nodes, makeNode('b'));
  await eventually(async () => expect(await cidrs(api)).toEqual(['10.1.0.0/24']));
  await cluster.stop();
});

test('a node gets a subnet of each family, or none while one of them is exhausted', async () => {
  const api = new MemoryObjects();
  const held = ['10.1.0.0/24', 'fd00:1::/64'];
  api.seed(nodes, makeNode('held', { spec: { podCIDR: held[0], podCIDRs: held } }));
  const clusterCidrs = [
    { cidr: '10.1.0.0/16', nodeMask: 24 },
    { cidr: 'fd00:1::/63', nodeMask: 64 },
  ];
  const cluster = await startControllers([nodeIpamController], { api, config: { clusterCidrs } });
  const given = async (name: string) => (await api.get(nodes, { name })).spec?.podCIDRs;
  api.seed(nodes, makeNode('a'));
  await eventually(async () => expect(await given('a')).toEqual(['10.1.1.0/24', 'fd00:1:0:1::/64']));
  api.seed(nodes, makeNode('b'));
  await eventually(() => expect(cluster.events).toMatchObject([{ reason: 'CIDRNotAvailable', about: 'b' }]));
  expect(await given('b')).toBeUndefined();
  await cluster.stop();
});

test('what of the range are addresses of Services is given to no node, and a node that has it keeps it', async () => {
  const api = new MemoryObjects();
  const clusterCidrs = [
    { cidr: '10.1.0.0/22', nodeMask: 24 },
    { cidr: 'fd00:1::/62', nodeMask: 64 },
  ];
  const serviceCidrs = ['10.1.0.0/23', 'fd00:1::/112'];
  const held = ['10.1.1.0/24', 'fd00:1::/64'];
  api.seed(nodes, makeNode('held', { spec: { podCIDR: held[0], podCIDRs: held } }));
  const cluster = await startControllers([nodeIpamController], { api, config: { clusterCidrs, serviceCidrs } });
  const given = async (name: string) => (await api.get(nodes, { name })).spec?.podCIDRs;
  api.seed(nodes, makeNode('a'));
  await eventually(async () => expect(await given('a')).toEqual(['10.1.2.0/24', 'fd00:1:0:1::/64']));
  api.seed(nodes, makeNode('b'));
  await eventually(async () => expect(await given('b')).toEqual(['10.1.3.0/24', 'fd00:1:0:2::/64']));
  api.seed(nodes, makeNode('c'));
  await eventually(() => expect(cluster.events).toMatchObject([{ reason: 'CIDRNotAvailable', about: 'c' }]));
  expect(await given('held')).toEqual(held);
  await cluster.stop();
});

convergenceSuite([nodeIpamController], {
  objects(api) {
    for (const name of ['a', 'b']) api.seed(nodes, makeNode(name));
    api.seed(nodes, makeNode('held', { metadata: { name: 'held' }, spec: { podCIDR: '10.244.0.0/24' } }));
  },
  steps: [
    client => client.create(nodes, makeNode('c')),
    client => client.delete(nodes, { name: 'a' }),
    client => client.create(nodes, makeNode('d')),
  ],
  async expectEnd(api) {
    const given = (await api.list(nodes)).items.map(({ spec }) => spec?.podCIDR);
    expect(given.every(cidr => /^10\.244\.\d+\.0\/24$/.test(cidr ?? ''))).toBe(true);
    expect(new Set(given).size).toBe(4);
  },
});
