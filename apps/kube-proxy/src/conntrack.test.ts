import { flowsToEnd, staleFlows } from './conntrack';
import { aPort } from './testing/ports';

const one = { address: '10.244.1.5', port: 5353, local: true };
const two = { address: '10.244.2.6', port: 5353, local: false };
const dns = (clusterEndpoints = [one, two]) =>
  aPort({ name: 'kube-system/dns:dns/udp', protocol: 'udp', port: 53, nodePort: 30053, clusterEndpoints });

test('flows to an endpoint that left end, at every address of the port', () => {
  expect(flowsToEnd([{ before: dns(), after: dns([one]) }])).toEqual([
    { originalAddress: '10.96.0.10', originalPort: 53, endpoint: { address: '10.244.2.6', port: 5353 } },
    { originalPort: 30053, endpoint: { address: '10.244.2.6', port: 5353 } },
  ]);
});

test('flows that began before there was an endpoint end when there is one', () => {
  const filters = [{ originalAddress: '10.96.0.10', originalPort: 53 }, { originalPort: 30053 }];
  expect(flowsToEnd([{ before: dns([]), after: dns() }])).toEqual(filters);
  expect(flowsToEnd([{ before: undefined, after: dns() }])).toEqual(filters);
});

test('connections of TCP are left alone', () => {
  expect(flowsToEnd([{ before: aPort(), after: undefined }])).toEqual([]);
});

test('a listing tells which flows lead to nobody', () => {
  const listing = [
    'udp      17 29 src=10.244.1.9 dst=10.96.0.10 sport=4000 dport=53 [UNREPLIED] src=10.244.1.5 dst=10.244.1.9 sport=5353 dport=4000 mark=0 use=1',
    'udp      17 29 src=10.244.1.9 dst=10.96.0.10 sport=4001 dport=53 src=10.244.9.9 dst=10.244.1.9 sport=5353 dport=4001 [ASSURED] mark=0 use=1',
    'udp      17 29 src=192.0.2.9 dst=192.0.2.1 sport=4002 dport=30053 src=10.244.9.9 dst=10.244.1.1 sport=5353 dport=4002 mark=0 use=1',
    'udp      17 29 src=192.0.2.9 dst=192.0.2.1 sport=4003 dport=30053 src=192.0.2.1 dst=192.0.2.9 sport=30053 dport=4003 mark=0 use=1',
    'udp      17 29 src=10.244.1.9 dst=8.8.8.8 sport=4004 dport=53 src=8.8.8.8 dst=192.0.2.1 sport=53 dport=4004 mark=0 use=1',
  ].join('\n');
  const gone = { address: '10.244.9.9', port: 5353 };
  expect(staleFlows(listing, [dns()])).toEqual([
    { originalAddress: '10.96.0.10', originalPort: 53, endpoint: gone },
    { originalAddress: '192.0.2.1', originalPort: 30053, endpoint: gone },
  ]);
});
