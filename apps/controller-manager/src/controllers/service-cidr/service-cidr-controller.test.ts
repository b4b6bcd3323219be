import { ipAddresses, serviceCIDRs } from '@naru/api';
import { eventually, type MemoryObjects } from '@naru/testing';
import { startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { serviceCidrController } from './service-cidr-controller';

const finalizer = 'networking.k8s.io/service-cidr-finalizer';
const extra = (name: string, cidr: string) => ({ metadata: { name }, spec: { cidrs: [cidr] } });

function seedAddress(api: MemoryObjects, name: string): void {
  api.seed(ipAddresses, {
    metadata: { name, labels: { 'ipaddress.kubernetes.io/managed-by': 'ipallocator.k8s.io' } },
    spec: { parentRef: { group: '', resource: 'services', namespace: 'default', name: 'web' } },
  });
}

test('a ServiceCIDR becomes ready, and one that is deleted stays while its addresses are of no other', async () => {
  const cluster = await startControllers([serviceCidrController]);
  const { api } = cluster;
  await api.create(serviceCIDRs, extra('more', '10.50.0.0/24'));
  const more = () => api.get(serviceCIDRs, { name: 'more' });
  await eventually(async () => {
    const { metadata, status } = await more();
    expect(metadata.finalizers).toEqual([finalizer]);
    expect(status?.conditions).toMatchObject([
      { type: 'Ready', status: 'True', reason: '', message: 'Kubernetes Service CIDR is ready' },
    ]);
  });
  seedAddress(api, '10.50.0.9');
  await api.delete(serviceCIDRs, { name: 'more' });
  await eventually(async () =>
    expect((await more()).status?.conditions).toMatchObject([{ status: 'False', reason: 'Terminating' }]),
  );
  await cluster.stop();
});

// The one whose address goes, and the one whose addresses another takes over, go in the end; the third stays.
convergenceSuite([serviceCidrController], {
  objects(api) {
    for (const [name, block] of Object.entries({ used: '10.50.0.0/24', covered: '10.60.1.0/24', held: '10.70.0.0/24' }))
      api.seed(serviceCIDRs, extra(name, block));
    for (const address of ['10.50.0.9', '10.60.1.9', '10.70.0.9']) seedAddress(api, address);
  },
  steps: [
    async client => {
      const { items } = await client.list(serviceCIDRs);
      if (items.some(({ metadata }) => !metadata.finalizers?.length)) throw new Error('not held yet');
      for (const { metadata } of items) await client.delete(serviceCIDRs, { name: metadata.name });
    },
    client => client.create(serviceCIDRs, extra('wide', '10.60.0.0/16')),
    client => client.delete(ipAddresses, { name: '10.50.0.9' }),
  ],
  async expectEnd(api) {
    const { items } = await api.list(serviceCIDRs);
    const left = items.map(({ metadata, status }) => [metadata.name, status?.conditions?.[0]?.status]);
    expect(left.sort()).toEqual([
      ['held', 'False'],
      ['wide', 'True'],
    ]);
  },
});
