import fs from 'node:fs';
import path from 'node:path';
import type { Endpoint, ServicePort } from '../desired/service-port';
import { ipFamilies, type IpFamily } from '../desired/ip-family';
import { labAddresses } from '../testing/lab-addresses';
import { aPort } from '../testing/ports';
import type { RuleConfig } from './mode';
import { parseSaved, renderChanges, renderFull } from './iptables/tables';
import { renderRules, renderSetChanges } from './ipvs/filter';
import { IpvsState } from './ipvs/ipvs-state';
import { LeavingReals, renderChanges as renderServers } from './ipvs/virtual-server';
import { NftTable } from './nftables/table';

const endpointsOf: Record<IpFamily, Endpoint[]> = {
  IPv4: [
    { address: '10.244.1.5', port: 8080, local: true },
    { address: '10.244.2.6', port: 8080, local: false },
    { address: '10.244.3.7', port: 8080, local: false },
  ],
  IPv6: [
    { address: 'fd00:244:1::5', port: 8080, local: true },
    { address: 'fd00:244:2::6', port: 8080, local: false },
    { address: 'fd00:244:3::7', port: 8080, local: false },
  ],
};

interface Given {
  config: RuleConfig;
  endpoints: Endpoint[];
  clusterIp: string;
  cases: Record<string, ServicePort[]>;
}

function given(family: IpFamily): Given {
  const addresses = labAddresses[family];
  const endpoints = endpointsOf[family];
  const clusterIp = addresses.clusterIp(10);
  const outside = family === 'IPv4' ? '198.51.100.7' : '2001:db8:51::7';
  const sourceRanges =
    family === 'IPv4' ? ['192.0.2.0/24', '203.0.113.9/32'] : ['2001:db8:2::/64', '2001:db8:113::9/128'];
  const port = (overrides: Partial<ServicePort>): ServicePort =>
    aPort({ clusterIp, clusterEndpoints: endpoints, ...overrides });
  const cases: Given['cases'] = {
    'cluster-ip': [port({})],
    'node-port-and-external-ip': [port({ nodePort: 30080, externalIps: [outside] })],
    'load-balancer-with-source-ranges': [port({ loadBalancerIps: [outside], sourceRanges })],
    'external-policy-local': [port({ nodePort: 30080, externalPolicy: 'local' })],
    'external-policy-local-elsewhere': [
      port({ clusterEndpoints: endpoints.slice(1), nodePort: 30080, externalPolicy: 'local' }),
    ],
    'internal-policy-local': [port({ internalPolicy: 'local' })],
    'session-affinity': [port({ clusterEndpoints: endpoints.slice(0, 2), nodePort: 30080, affinitySeconds: 10_800 })],
    'no-endpoints': [port({ clusterEndpoints: [], nodePort: 30080 })],
    'udp-and-sctp': [
      port({ name: 'kube-system/dns:dns/udp', protocol: 'udp', port: 53, clusterEndpoints: endpoints.slice(0, 1) }),
      port({ name: 'default/sctp:/sctp/9', protocol: 'sctp', port: 9, clusterIp: addresses.clusterIp(11) }),
    ],
  };
  return { config: { family, clusterCidr: addresses.clusterCidr }, endpoints, clusterIp, cases };
}

/** `UPDATE_GOLDEN=1 npx jest ...` writes the files anew: read what changed before you commit it. */
function expectGolden(name: string, text: string): void {
  const file = path.join(__dirname, 'golden', name);
  if (process.env['UPDATE_GOLDEN']) {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, text);
  }
  expect(text).toBe(fs.readFileSync(file, 'utf8'));
}

/** Without the structure that is the same for all. */
function difference(text: string, empty: string): string {
  const same = new Set(empty.split('\n'));
  return `${text
    .split('\n')
    .filter(line => !same.has(line))
    .join('\n')}\n`;
}

const nothingSaved = parseSaved('');

describe.each(ipFamilies)('with %s', family => {
  const { config, endpoints, clusterIp, cases } = given(family);
  const golden = (name: string, text: string): void => expectGolden(family === 'IPv4' ? name : `ipv6/${name}`, text);
  const nodeIps = [labAddresses[family].host(11)];
  const iptablesFull = (ports: ServicePort[]): string => [...renderFull(ports, config, nothingSaved)].join('');

  /** What is told to ipvsadm and then to ipset, on a node with one address, when the ports become others. */
  function ipvsChanges(before: ServicePort[], after: ServicePort[]): string {
    const state = new IpvsState({ nodeIps, scheduler: 'rr' });
    for (const port of before) state.add(port);
    if (before.length > 0) state.takeChanges();
    for (const port of before) state.remove(port);
    for (const port of after) state.add(port);
    const { servers, sets } = state.takeChanges();
    const lines = renderServers(servers.before, servers.after, new LeavingReals());
    return `${lines.join('\n')}\n\n${renderSetChanges(sets, family)}`;
  }

  describe('the structure of the rules is that of the golden file', () => {
    test('nftables', () => golden('structure.nft', new NftTable(config).renderFull([])));
    test('iptables', () => golden('structure.iptables', iptablesFull([])));
    test('ipvs', () => golden('structure.ipvs', renderRules(config)));
  });

  describe.each(Object.entries(cases))('the rules for %s are those of the golden file', (name, ports) => {
    test('nftables', () => {
      const text = new NftTable(config).renderFull(ports);
      golden(`${name}.nft`, difference(text, new NftTable(config).renderFull([])));
    });
    test('iptables', () => {
      const text = iptablesFull(ports);
      golden(`${name}.iptables`, difference(text, iptablesFull([])));
    });
    test('ipvs', () => golden(`${name}.ipvs`, ipvsChanges([], ports)));
  });

  describe('the change when one of three endpoints leaves is that of the golden file', () => {
    const before = aPort({ clusterIp, clusterEndpoints: endpoints, nodePort: 30080 });
    const after = { ...before, clusterEndpoints: [endpoints[2]!, endpoints[1]!], localEndpoints: [] };
    test('nftables', () => {
      const table = new NftTable(config);
      const other = labAddresses[family].clusterIp(11);
      table.renderFull([before, { ...before, name: 'default/other:/tcp/80', clusterIp: other, nodePort: undefined }]);
      golden('endpoint-leaves.nft', table.renderChanges([{ before, after }]));
    });
    test('iptables', () =>
      golden('endpoint-leaves.iptables', [...renderChanges([{ before, after }], config)].join('')));
    test('ipvs', () => golden('endpoint-leaves.ipvs', ipvsChanges([before], [after])));
  });

  test('without a difference there is nothing to tell', () => {
    const table = new NftTable(config);
    const port = aPort({ clusterIp, clusterEndpoints: endpoints });
    table.renderFull([port]);
    expect(table.renderChanges([{ before: port, after: port }])).toBe('');
    expect([...renderChanges([{ before: port, after: port }], config)]).toEqual([]);
  });
});
