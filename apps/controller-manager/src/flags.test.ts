import { parseFlags } from '@naru/foundation';
import { managerFlags, toConfig } from './flags';

const read = (...args: string[]) => toConfig(parseFlags(managerFlags, ['--api-server=h:1', ...args]), undefined);

test.each<[string[], { cidr: string; nodeMask: number }[]]>([
  [[], [{ cidr: '10.244.0.0/16', nodeMask: 24 }]],
  [['--node-cidr-mask-size=26'], [{ cidr: '10.244.0.0/16', nodeMask: 26 }]],
  [['--cluster-cidr=fd00:244::/56'], [{ cidr: 'fd00:244::/56', nodeMask: 64 }]],
  [
    ['--cluster-cidr=fd00:244::/56,10.1.0.0/16', '--node-cidr-mask-size-ipv4=25', '--node-cidr-mask-size-ipv6=60'],
    [
      { cidr: 'fd00:244::/56', nodeMask: 60 },
      { cidr: '10.1.0.0/16', nodeMask: 25 },
    ],
  ],
])('the flags %j say how the ranges of pods are cut', (args, cut) => {
  expect(read(...args).clusterCidrs).toEqual(cut);
});

test.each([
  [['--cluster-cidr=10.1.0.0/16,10.2.0.0/16'], 'one is IPv4 and one is IPv6'],
  [['--cluster-cidr=10.1.0.1/16'], 'host bits set'],
  [['--cluster-cidr=10.1.0.0/16,fd00::/56', '--node-cidr-mask-size=24'], '--node-cidr-mask-size-ipv4'],
  [['--cluster-cidr=fd00::/32'], 'the mask must be between 32 and 48'],
])('the flags %j are refused by name', (args, message) => {
  expect(() => read(...args)).toThrow(/^flag --cluster-cidr: /);
  expect(() => read(...args)).toThrow(message);
});

test('the addresses of Services are one range or one of each family, or not known', () => {
  expect(read().serviceCidrs).toEqual([]);
  expect(read('--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112').serviceCidrs).toEqual([
    '10.96.0.0/16',
    'fd00:96::/112',
  ]);
  expect(() => read('--service-cluster-ip-range=10.96.0.0/16,10.97.0.0/16')).toThrow(
    /^flag --service-cluster-ip-range: .*one is IPv4 and one is IPv6/,
  );
});
