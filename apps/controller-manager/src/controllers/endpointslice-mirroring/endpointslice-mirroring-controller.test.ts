import { endpoints, endpointSlices, services } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { endpointSliceMirroringController } from './endpointslice-mirroring-controller';

const key = { namespace: 'default', name: 'outside' };

test('Endpoints of a Service without selector are copied into slices by family, and followed', async () => {
  const api = new MemoryObjects();
  const cluster = await startControllers([endpointSliceMirroringController], { api });
  api.seed(services, { metadata: { ...key }, spec: { ports: [{ port: 80 }] } });
  api.seed(endpoints, {
    metadata: { ...key },
    subsets: [
      {
        addresses: [{ ip: '192.0.2.1' }, { ip: '2001:db8::1' }],
        notReadyAddresses: [{ ip: '192.0.2.2' }],
        ports: [{ port: 8080, protocol: 'TCP' }],
      },
    ],
  });
  const expectAddresses = (...wanted: string[]) =>
    eventually(async () => {
      const slices = (await api.list(endpointSlices)).items;
      const found = slices.flatMap(slice =>
        (slice.endpoints ?? []).map(
          ({ addresses, conditions }) => `${slice.addressType} ${addresses[0]} ${conditions?.ready}`,
        ),
      );
      expect(found.sort()).toEqual(wanted);
    });
  await expectAddresses('IPv4 192.0.2.1 true', 'IPv4 192.0.2.2 false', 'IPv6 2001:db8::1 true');
  const [slice] = (await api.list(endpointSlices)).items;
  expect(slice?.metadata.labels).toMatchObject({ 'kubernetes.io/service-name': 'outside' });
  const before = api.writes.length;
  await api.patch(endpoints, key, { type: 'merge', body: { subsets: [{ addresses: [{ ip: '192.0.2.1' }] }] } });
  await expectAddresses('IPv4 192.0.2.1 true');
  expect(api.writes.length - before).toBeLessThanOrEqual(4);
  await api.patch(endpoints, key, {
    type: 'merge',
    body: { metadata: { labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } } },
  });
  await expectAddresses();
  await cluster.stop();
});

const subset = (ip: string) => ({
  subsets: [{ addresses: [{ ip }], ports: [{ port: 80, protocol: 'TCP' as const }] }],
});

convergenceSuite([endpointSliceMirroringController], {
  objects(api) {
    api.seed(services, { metadata: { ...key }, spec: { ports: [{ port: 80 }] } });
    api.seed(endpoints, { metadata: { ...key }, ...subset('192.0.2.1') });
  },
  steps: [
    client => client.patch(endpoints, key, { type: 'merge', body: subset('192.0.2.2') }),
    client => client.patch(endpoints, key, { type: 'merge', body: subset('2001:db8::1') }),
  ],
  async expectEnd(api) {
    const slices = (await api.list(endpointSlices)).items;
    const found = slices.flatMap(slice => (slice.endpoints ?? []).map(({ addresses }) => addresses[0]));
    expect(found).toEqual(['2001:db8::1']);
  },
});
