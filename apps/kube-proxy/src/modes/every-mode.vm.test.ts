import path from 'node:path';
import { describeWhere, runInVirtualMachine, runKernelScenario, virtualMachineObstacle } from '@naru/testing';
import { ipFamilies } from '../desired/ip-family';

/** What every-mode.scenario.ts checks with both families, in a kernel that has IPVS, SCTP and nf_tables. */
const checks = [
  'policies judge what ipvs sends on',
  'policies tell SCTP from TCP',
  'SCTP goes through nftables',
  'SCTP goes through iptables',
  'SCTP goes through ipvs',
];

describeWhere(virtualMachineObstacle(), 'the modes in a kernel that has all they need', () => {
  let verdict: (check: string) => string | undefined;

  beforeAll(async () => {
    verdict = await runKernelScenario({
      run: runInVirtualMachine,
      entry: path.join(__dirname, 'every-mode.scenario.ts'),
      dist: path.resolve(__dirname, '../../../../dist'),
      modules: ['sctp', 'ip_vs', 'dummy', 'veth', 'bridge', 'nf_tables'],
      memoryMb: 1024,
      timeoutMs: 900_000,
    });
  }, 1_100_000);

  describe.each(ipFamilies)('with %s', family => {
    test.each(checks)('%s', name => expect(verdict(`${family} ${name}`)).toBeUndefined());
  });
});
