import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { describeWhere, runInVirtualMachine, runKernelScenario, virtualMachineObstacle } from '@naru/testing';

const repository = path.resolve(__dirname, '../../..');

/** What testing/machine-scenario.ts checks: two NUMA nodes, huge pages, version 2 cgroups alone. */
const checks = [
  'a Guaranteed container gets CPUs, memory and huge pages of one NUMA node',
  'a pod that no NUMA node has room for is refused',
  'a container cannot have more huge pages than its limit, though there are more',
  'the Node tells of huge pages in the unit of their size',
];

describeWhere(virtualMachineObstacle(), 'a node on a machine that has it all', () => {
  let verdict: (check: string) => string | undefined;

  beforeAll(async () => {
    execFileSync('node', ['../../tools/build.mjs'], { cwd: path.join(repository, 'apps/runtime') });
    verdict = await runKernelScenario({
      run: options => runInVirtualMachine({ ...options, numaNodes: 2 }),
      entry: path.join(__dirname, 'testing/machine-scenario.ts'),
      arguments: [path.join(repository, 'dist/apps/runtime/main.js')],
      dist: path.join(repository, 'dist'),
      prepare: `mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
for node in 0 1; do echo 4 > /sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages; done`,
      modules: ['overlay'],
      memoryMb: 1536,
      timeoutMs: 580_000,
    });
  }, 600_000);

  test.each(checks)('%s', name => expect(verdict(name)).toBeUndefined());
});
