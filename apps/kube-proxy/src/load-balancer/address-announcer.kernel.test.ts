import type { EndpointSlice, Node, Service } from '@naru/api';
import { silentLogger, systemClock } from '@naru/foundation';
import { eventually } from '@naru/testing';
import { ipFamilies, type IpFamily } from '../desired/ip-family';
import { labAddresses } from '../testing/lab-addresses';
import { DesiredState } from '../desired/desired-state';
import { NetworkLab } from '../testing/network-lab';
import { describeInKernel } from '../testing/require-kernel';
import { AddressAnnouncer, removeAnnounced } from './address-announcer';

describe.each(ipFamilies)('with %s', family => {
  describeInKernel('addresses of load balancers', () => testAnnouncer(family));
});

function testAnnouncer(family: IpFamily): void {
  const addresses = labAddresses[family];
  const address = addresses.host(230);

  let lab: NetworkLab;
  let announcers: AddressAnnouncer[];
  let states: DesiredState[];

  beforeAll(async () => {
    lab = await NetworkLab.create(2, family);
    for (const node of lab.nodes) await lab.serve(node, 8080, node.name);
    states = lab.nodes.map(({ name }) => new DesiredState({ nodeName: name, family }));
    announcers = lab.nodes.map(
      ({ name, ipv4, run }) =>
        new AddressAnnouncer({
          nodeName: name,
          nodeIp: ipv4,
          pool: { contains: candidate => candidate === address },
          run,
          clock: systemClock,
          logger: silentLogger,
          fullSyncPeriodMs: 3_600_000,
        }),
    );
  });
  afterAll(async () => {
    await Promise.all(announcers?.map(announcer => announcer.stop()) ?? []);
    await lab?.close();
  });

  const balancer = (ip: string, externalTrafficPolicy = 'Cluster'): Service => ({
    metadata: { namespace: 'default', name: 'web' },
    spec: { type: 'LoadBalancer', clusterIP: addresses.clusterIp(1), externalTrafficPolicy, ports: [{ port: 8080 }] },
    status: { loadBalancer: { ingress: [{ ip, ipMode: 'VIP' }] } },
  });
  const sliceOn = (nodeName: string): EndpointSlice => ({
    metadata: { namespace: 'default', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: family,
    endpoints: [{ addresses: [addresses.host(250)], nodeName, conditions: { ready: true } }],
  });
  const set = (service: Service, slice?: EndpointSlice): void => {
    for (const [index, desired] of states.entries()) {
      desired.setService(service);
      if (slice) desired.setSlice(slice);
      announcers[index]?.follow([desired]);
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
    set(balancer(addresses.host(99)));
    const asked = (): Promise<unknown> => lab.ask(lab.outside, address, 8080, { timeoutMs: 1_000 });
    await eventually(() => expect(asked()).rejects.toThrow());
    for (const { run } of lab.nodes) expect(await run('ip', ['addr'])).not.toContain(addresses.host(99));
    set(balancer(address), sliceOn('node-1'));
    await eventually(holder);
    for (const { run } of lab.nodes) await removeAnnounced(run);
    for (const { run } of lab.nodes) expect(await run('ip', ['addr'])).not.toContain(address);
  });
}
