import path from 'node:path';
import { describeWhere, runKernelScenario, userModeLinuxObstacle } from '@naru/testing';

/** What testing/unified-scenario.ts checks, in a kernel with version 2 cgroups and nothing else. */
const checks = [
  'a container has its limits in version 2',
  'a container sees no cgroup but its own in version 2',
  'limits of a running container change in version 2',
  'usage is read in version 2',
  'a container that takes too much memory is OOMKilled in version 2',
  'nothing remains of a pod in version 2',
];

describeWhere(userModeLinuxObstacle(), 'the runtime on pure version 2 cgroups', () => {
  let verdict: (check: string) => string | undefined;

  beforeAll(async () => {
    verdict = await runKernelScenario({
      entry: path.join(__dirname, 'testing/unified-scenario.ts'),
      dist: path.resolve(__dirname, '../../../dist'),
      prepare: 'mount -t cgroup2 cgroup2 /sys/fs/cgroup',
      memoryMb: 768,
      timeoutMs: 400_000,
    });
  }, 600_000);

  test.each(checks)('%s', name => {
    expect(verdict(name)).toBeUndefined();
  });
});
