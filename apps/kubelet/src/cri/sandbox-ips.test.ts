import { cri } from '@naru/proto';
import { sandboxIps } from './sandbox-ips';

const network = (ip: string, ...others: string[]): cri.PodSandboxNetworkStatus =>
  cri.PodSandboxNetworkStatus.fromPartial({ ip, additionalIps: others.map(other => ({ ip: other })) });

test.each<[string, string[], string[], string[]]>([
  ['keeps one address', ['10.0.0.2'], ['10.95.0.11'], ['10.0.0.2']],
  [
    'begins with the family of the node',
    ['10.0.0.2', 'fd00::2'],
    ['fd00:95::11', '10.95.0.11'],
    ['fd00::2', '10.0.0.2'],
  ],
  ['shows one of each family', ['fd00::2', 'fd00::3', '10.0.0.2'], ['10.95.0.11'], ['10.0.0.2', 'fd00::2']],
  ['shows what there is', ['fd00::2'], ['10.95.0.11'], ['fd00::2']],
  ['has none without a network', [''], ['10.95.0.11'], []],
])('a pod %s', (_, given, host, shown) => {
  const [first = '', ...others] = given;
  expect(sandboxIps(network(first, ...others), host)).toEqual(shown);
});
