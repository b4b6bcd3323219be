import fs from 'node:fs';
import path from 'node:path';
import type { Endpoint, ServicePort } from '../desired/service-port';
import { aPort } from '../testing/ports';
import { parseSaved, renderChanges, renderFull } from './iptables/tables';
import { entriesOf, noEntries, renderRules, renderSetChanges } from './ipvs/filter';
import { LeavingReals, nameOf, renderChanges as renderServers, virtualServersOf } from './ipvs/virtual-server';
import { NftTable } from './nftables/table';

const config = { clusterCidr: '10.244.0.0/16' };
const endpoints: Endpoint[] = [
  { address: '10.244.1.5', port: 8080, local: true },
  { address: '10.244.2.6', port: 8080, local: false },
  { address: '10.244.3.7', port: 8080, local: false },
];

const cases: Record<string, ServicePort[]> = {
  'cluster-ip': [aPort({ clusterEndpoints: endpoints })],
  'node-port-and-external-ip': [aPort({ clusterEndpoints: endpoints, nodePort: 30080, externalIps: ['198.51.100.7'] })],
  'load-balancer-with-source-ranges': [
    aPort({
      clusterEndpoints: endpoints,
      loadBalancerIps: ['198.51.100.7'],
      sourceRanges: ['192.0.2.0/24', '203.0.113.9/32'],
    }),
  ],
  'external-policy-local': [aPort({ clusterEndpoints: endpoints, nodePort: 30080, externalPolicy: 'local' })],
  'external-policy-local-elsewhere': [
    aPort({ clusterEndpoints: endpoints.slice(1), nodePort: 30080, externalPolicy: 'local' }),
  ],
  'internal-policy-local': [aPort({ clusterEndpoints: endpoints, internalPolicy: 'local' })],
  'session-affinity': [aPort({ clusterEndpoints: endpoints.slice(0, 2), nodePort: 30080, affinitySeconds: 10_800 })],
  'no-endpoints': [aPort({ clusterEndpoints: [], nodePort: 30080 })],
  'udp-and-sctp': [
    aPort({ name: 'kube-system/dns:dns/udp', protocol: 'udp', port: 53, clusterEndpoints: endpoints.slice(0, 1) }),
    aPort({
      name: 'default/sctp:/sctp/9',
      protocol: 'sctp',
      port: 9,
      clusterIp: '10.96.0.11',
      clusterEndpoints: endpoints,
    }),
  ],
};

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

/** What is told to ipvsadm and then to ipset, on a node with one address, when the ports become others. */
function ipvsChanges(before: ServicePort[], after: ServicePort[]): string {
  const nodeIps = ['192.168.77.11'];
  const serversOf = (ports: ServicePort[]) =>
    new Map(ports.flatMap(port => virtualServersOf(port, 'rr', nodeIps)).map(server => [nameOf(server), server]));
  const lines = renderServers(serversOf(before), serversOf(after), new LeavingReals());
  const entries = before.length === 0 ? noEntries() : entriesOf(before, nodeIps);
  return `${lines.join('\n')}\n\n${renderSetChanges(entries, entriesOf(after, nodeIps))}`;
}

describe('the structure of the rules is that of the golden file', () => {
  test('nftables', () => expectGolden('structure.nft', new NftTable(config).renderFull([])));
  test('iptables', () => expectGolden('structure.iptables', renderFull([], config, nothingSaved)));
  test('ipvs', () => expectGolden('structure.ipvs', renderRules(config)));
});

describe.each(Object.entries(cases))('the rules for %s are those of the golden file', (name, ports) => {
  test('nftables', () => {
    const text = new NftTable(config).renderFull(ports);
    expectGolden(`${name}.nft`, difference(text, new NftTable(config).renderFull([])));
  });
  test('iptables', () => {
    const text = renderFull(ports, config, nothingSaved);
    expectGolden(`${name}.iptables`, difference(text, renderFull([], config, nothingSaved)));
  });
  test('ipvs', () => expectGolden(`${name}.ipvs`, ipvsChanges([], ports)));
});

describe('the change when one of three endpoints leaves is that of the golden file', () => {
  const before = aPort({ clusterEndpoints: endpoints, nodePort: 30080 });
  const after = aPort({ clusterEndpoints: [endpoints[2]!, endpoints[1]!], nodePort: 30080 });
  test('nftables', () => {
    const table = new NftTable(config);
    table.renderFull([
      before,
      aPort({ name: 'default/other:/tcp/80', clusterIp: '10.96.0.11', clusterEndpoints: endpoints }),
    ]);
    expectGolden('endpoint-leaves.nft', table.renderChanges([{ before, after }]));
  });
  test('iptables', () => expectGolden('endpoint-leaves.iptables', renderChanges([{ before, after }], config)));
  test('ipvs', () => expectGolden('endpoint-leaves.ipvs', ipvsChanges([before], [after])));
});

test('without a difference there is nothing to tell', () => {
  const table = new NftTable(config);
  table.renderFull(cases['cluster-ip']!);
  const [port] = cases['cluster-ip']!;
  expect(table.renderChanges([{ before: port, after: port }])).toBe('');
  expect(renderChanges([{ before: port, after: port }], config)).toBe('');
});
