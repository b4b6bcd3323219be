import type { EndpointSlice, Node, Service } from '@naru/api';
import { AddressRanges, silentLogger, systemClock } from '@naru/foundation';
import { eventually } from '@naru/testing';
import { DesiredState } from '../desired/desired-state';
import { NetworkLab } from '../testing/network-lab';
import { describeInKernel } from '../testing/require-kernel';
import { AddressAnnouncer, removeAnnounced } from './address-announcer';

const address = '192.168.77.230';

describeInKernel('addresses of load balancers', () => {
  let lab: NetworkLab;
  let announcers: AddressAnnouncer[];
  let states: DesiredState[];

  beforeAll(async () => {
    lab = await NetworkLab.create(2);
    for (const node of lab.nodes) await lab.serve(node, 8080, node.name);
    states = lab.nodes.map(({ name }) => new DesiredState({ nodeName: name }));
    announcers = lab.nodes.map(
      ({ name, ip, run }) =>
        new AddressAnnouncer({
          nodeName: name,
          nodeIp: ip,
          pool: AddressRanges.parse('192.168.77.224-192.168.77.254'),
          run,
          clock: systemClock,
          logger: silentLogger,
          fullSyncPeriodMs: 3_600_000,
        }),
    );
  }, 60_000);
  afterAll(async () => {
    await Promise.all(announcers?.map(announcer => announcer.stop()) ?? []);
    await lab?.close();
  });

  const balancer = (ip: string, externalTrafficPolicy = 'Cluster'): Service => ({
    metadata: { namespace: 'default', name: 'web' },
    spec: { type: 'LoadBalancer', clusterIP: '10.96.0.1', externalTrafficPolicy, ports: [{ port: 8080 }] },
    status: { loadBalancer: { ingress: [{ ip, ipMode: 'VIP' }] } },
  });
  const sliceOn = (nodeName: string): EndpointSlice => ({
    metadata: { namespace: 'default', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.244.1.5'], nodeName, conditions: { ready: true } }],
  });
  const set = (service: Service, slice?: EndpointSlice): void => {
    for (const [index, desired] of states.entries()) {
      desired.setService(service);
      if (slice) desired.setSlice(slice);
      announcers[index]?.follow(desired);
    }
  };
  const ready = (name: string, value: boolean, labels: Record<string, string> = {}): void => {
    const conditions = [{ type: 'Ready', status: value ? 'True' : 'False' }];
    const node: Node = { metadata: { name, labels }, status: { conditions } };
    for (const announcer of announcers) announcer.setNode(node);
  };
  const holder = async (): Promise<string> => (await lab.ask(lab.outside, address, 8080)).name;

  test('one node answers for an address, and another at once when that one is not Ready', async () => {
    for (const { name } of lab.nodes) ready(name, true);
    set(balancer(address));
    const first = await eventually(holder);
    const other = first === 'node-1' ? 'node-2' : 'node-1';
    ready(first, false);
    await eventually(async () => expect(await holder()).toBe(other));
    ready(first, true);
    await eventually(async () => expect(await holder()).toBe(first));
    ready(first, true, { 'node.kubernetes.io/exclude-from-external-load-balancers': '' });
    await eventually(async () => expect(await holder()).toBe(other));
    ready(first, true);
  });

  test('with externalTrafficPolicy Local only a node with endpoints answers', async () => {
    for (const name of ['node-1', 'node-2', 'node-1']) {
      set(balancer(address, 'Local'), sliceOn(name));
      await eventually(async () => expect(await holder()).toBe(name));
    }
  });

  test('addresses outside the pool are not announced, and cleanup gives up the others', async () => {
    set(balancer('192.168.77.99'));
    await eventually(() => expect(lab.ask(lab.outside, address, 8080)).rejects.toThrow());
    for (const { run } of lab.nodes) expect(await run('ip', ['addr'])).not.toContain('192.168.77.99');
    set(balancer(address), sliceOn('node-1'));
    await eventually(holder);
    for (const { run } of lab.nodes) await removeAnnounced(run);
    for (const { run } of lab.nodes) expect(await run('ip', ['addr'])).not.toContain(address);
  });
});
