import path from 'node:path';
import { builtProgram, describeWhere, runKernelScenario, userModeLinuxObstacle } from '@naru/testing';

const repository = path.resolve(__dirname, '../../..');

/** What testing/systemd-scenario.ts checks, in a kernel whose first process is systemd. */
const checks = [
  'a pod is a slice of systemd and its container a scope, each with its limits',
  'limits stay when systemd is reloaded',
  'usage of pods and containers is read from slices and scopes',
  'a container in a scope that takes too much memory is OOMKilled',
  'slices and scopes go with their pods',
];

describeWhere(userModeLinuxObstacle({ systemd: true }), 'the kubelet with the systemd cgroup driver', () => {
  let verdict: (check: string) => string | undefined;

  beforeAll(async () => {
    verdict = await runKernelScenario({
      entry: path.join(__dirname, 'testing/systemd-scenario.ts'),
      arguments: [builtProgram('runtime')],
      dist: path.join(repository, 'dist'),
      systemd: true,
      memoryMb: 768,
      timeoutMs: 400_000,
    });
  }, 600_000);

  it.each(checks)('%s', name => {
    expect(verdict(name)).toBeUndefined();
  });
});
