import { services, type Service } from '@naru/api';
import { eventually, MemoryObjects } from '@naru/testing';
import { startControllers, type Cluster } from '../../fixtures';
import { serviceLbController } from './service-lb-controller';

const balancer = (name: string, spec: Partial<NonNullable<Service['spec']>> = {}): Service => ({
  metadata: { namespace: 'default', name },
  spec: { type: 'LoadBalancer', ports: [{ port: 80 }], ...spec },
});

const start = (api: MemoryObjects, loadBalancerAddresses = '10.0.0.1-10.0.0.2'): Promise<Cluster> =>
  startControllers([serviceLbController], { api, config: { loadBalancerAddresses } });

async function addressOf(api: MemoryObjects, name: string): Promise<string | undefined> {
  const { status } = await api.get(services, { namespace: 'default', name });
  return status?.loadBalancer?.ingress?.[0]?.ip;
}

describe('the service load balancer controller', () => {
  let cluster: Cluster | undefined;
  afterEach(() => cluster?.stop());

  test('gives each Service of the type an address of the pool, and keeps what is given over a restart', async () => {
    const api = new MemoryObjects();
    api.seed(services, { ...balancer('old'), status: { loadBalancer: { ingress: [{ ip: '10.0.0.1' }] } } });
    api.seed(services, balancer('plain', { type: 'ClusterIP' }));
    api.seed(services, balancer('foreign', { loadBalancerClass: 'example.com/other' }));
    cluster = await start(api);
    await api.create(services, balancer('new'));
    await eventually(async () => expect(await addressOf(api, 'new')).toBe('10.0.0.2'));
    expect(await addressOf(api, 'old')).toBe('10.0.0.1');
    expect(await addressOf(api, 'plain')).toBeUndefined();
    expect(await addressOf(api, 'foreign')).toBeUndefined();
    expect(cluster.events).toEqual([{ reason: 'EnsuredLoadBalancer', message: 'Ensured load balancer', about: 'new' }]);
  });

  test('says in an event that the pool is exhausted, and gives the address that a deleted Service gives up', async () => {
    const api = new MemoryObjects();
    cluster = await start(api, '10.0.0.9-10.0.0.9');
    await api.create(services, balancer('first'));
    await eventually(async () => expect(await addressOf(api, 'first')).toBe('10.0.0.9'));
    await api.create(services, balancer('second'));
    await eventually(() =>
      expect(cluster?.events).toContainEqual({
        reason: 'SyncLoadBalancerFailed',
        message: 'Error syncing load balancer: no address is left in the pool 10.0.0.9-10.0.0.9',
        about: 'second',
      }),
    );
    await api.delete(services, { namespace: 'default', name: 'first' });
    await api.patch(
      services,
      { namespace: 'default', name: 'second' },
      { type: 'merge', body: { metadata: { labels: { a: 'b' } } } },
    );
    await eventually(async () => expect(await addressOf(api, 'second')).toBe('10.0.0.9'));
  });

  test('honours the wished address, and takes the address back when the type changes', async () => {
    const api = new MemoryObjects();
    cluster = await start(api);
    await api.create(services, balancer('wishing', { loadBalancerIP: '10.0.0.2' }));
    await eventually(async () => expect(await addressOf(api, 'wishing')).toBe('10.0.0.2'));
    await api.patch(
      services,
      { namespace: 'default', name: 'wishing' },
      { type: 'merge', body: { spec: { type: 'NodePort' } } },
    );
    await eventually(async () => expect(await addressOf(api, 'wishing')).toBeUndefined());
    await api.create(services, balancer('outside', { loadBalancerIP: '192.0.2.1' }));
    await eventually(() => expect(cluster?.events.at(-1)?.message).toContain('192.0.2.1 is not free in the pool'));
  });

  test('gives a Service of two families an address of each, and one of a single family that alone', async () => {
    const api = new MemoryObjects();
    cluster = await start(api, '10.0.0.1-10.0.0.2,fd00::1-fd00::2');
    const addresses = async (name: string): Promise<(string | undefined)[] | undefined> =>
      (await api.get(services, { namespace: 'default', name })).status?.loadBalancer?.ingress?.map(({ ip }) => ip);
    await api.create(services, balancer('both', { ipFamilies: ['IPv6', 'IPv4'], loadBalancerIP: 'fd00::2' }));
    await eventually(async () => expect(await addresses('both')).toEqual(['fd00::2', '10.0.0.1']));
    await api.create(services, balancer('newer', { ipFamilies: ['IPv6'] }));
    await eventually(async () => expect(await addresses('newer')).toEqual(['fd00::1']));
    await api.patch(
      services,
      { namespace: 'default', name: 'both' },
      { type: 'merge', body: { spec: { ipFamilies: ['IPv6'] } } },
    );
    await eventually(async () => expect(await addresses('both')).toEqual(['fd00::2']));
  });
});
