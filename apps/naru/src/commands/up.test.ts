import { upCommand } from './up';

const up = (...args: string[]): Promise<number | void> => upCommand.run(['--cluster', 'not-there', ...args]);

test.each([
  [['--ip-family', 'both'], 'flag --ip-family: "both" is none of ipv4, ipv6, dual'],
  [['--ip-family', 'dual', '--cluster-cidr', '10.0.0.0/8'], 'as 10.244.0.0/16,fd00:10:244::/56 would'],
  [['--service-cidr', 'fd00::/112'], 'flag --service-cidr: fd00::/112 does not fit --ip-family=ipv4'],
  [
    ['--node-cidr', '10.95.0.1/24'],
    'flag --node-cidr: Cannot parse CIDR "10.95.0.1/24": the address has host bits set',
  ],
  [
    ['--cluster-cidr', '10.96.0.0/12'],
    'flags --cluster-cidr and --service-cidr: 10.96.0.0/12 and 10.96.0.0/16 overlap',
  ],
  [['--kubelet-config', '/dev/null'], 'flag --kubelet-config: /dev/null is no KubeletConfiguration of kubelet.config'],
  [['--cluster-cidr', '10.95.0.0/16'], 'flags --cluster-cidr and --node-cidr: 10.95.0.0/16 and 10.95.0.0/24 overlap'],
  [['--service-cidr', '10.0.0.0/9'], 'flags --service-cidr and --node-cidr: 10.0.0.0/9 and 10.95.0.0/24 overlap'],
  [['--node-cidr', '10.244.7.0/24'], 'flags --cluster-cidr and --node-cidr: 10.244.0.0/16 and 10.244.7.0/24 overlap'],
  [
    ['--ip-family', 'ipv6', '--cluster-cidr', 'fd00:10:95::/48'],
    'flags --cluster-cidr and --node-cidr: fd00:10:95::/48 and 10.95.0.0/24,fd00:10:95::/64 overlap',
  ],
  [['--cluster-domain', 'Cluster_Local'], 'flag --cluster-domain: "Cluster_Local" is no DNS name of at most 128'],
])('%j is refused before anything is made', async (args, message) => {
  await expect(up(...args)).rejects.toThrow(message);
});
