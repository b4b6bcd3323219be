import { spawnSync } from 'node:child_process';
import path from 'node:path';
import {
  builtProgram,
  describeWhere,
  runInVirtualMachine,
  runKernelScenario,
  virtualMachineObstacle,
} from '@naru/testing';

const repository = path.resolve(__dirname, '../../..');

/** What testing/machine-scenario.ts checks: two NUMA nodes, huge pages, version 2 cgroups alone, a kernel that CRIU knows. */
const checks = [
  'a Guaranteed container gets CPUs, memory and huge pages of one NUMA node',
  'a pod that no NUMA node has room for is refused',
  'a container cannot have more huge pages than its limit, though there are more',
  'the Node tells of huge pages in the unit of their size',
  'a pod waits while the kernel allows no user namespaces, and starts when it does',
  'a pod with a user namespace is nobody on a node with version 2 cgroups, and owns what it mounts',
  'a pod with a user namespace cannot change the limits of its cgroup',
  'the state of a container is written to an archive, and the container runs on',
  'no checkpoint is made where there cannot be one, and the answer says why',
];

const missing = ['criu', 'mkfs.ext4', 'runc', 'crun'].filter(program => spawnSync('which', [program]).status !== 0);
const obstacle = virtualMachineObstacle() ?? (missing.length > 0 ? `needs ${missing.join(', ')}` : undefined);

describeWhere(obstacle, 'a node on a machine that has it all', () => {
  let verdict: (check: string) => string | undefined;

  beforeAll(async () => {
    verdict = await runKernelScenario({
      run: options => runInVirtualMachine({ ...options, numaNodes: 2 }),
      entry: path.join(__dirname, 'testing/machine-scenario.ts'),
      arguments: [builtProgram('runtime')],
      dist: path.join(repository, 'dist'),
      prepare: `mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 devpts /dev/pts
mount -t tmpfs shm /dev/shm
# Ids of a file system in memory cannot be mapped before Linux 6.3.
truncate -s 512M /run/disk
mkfs.ext4 -q /run/disk
mkdir /run/naru
mount -o loop /run/disk /run/naru
for node in 0 1; do echo 4 > /sys/devices/system/node/node$node/hugepages/hugepages-2048kB/nr_hugepages; done
# Not yet: the node is to find out by itself when that changes.
echo 0 > /proc/sys/user/max_user_namespaces`,
      modules: [
        'overlay',
        'loop',
        'veth',
        'bridge',
        'unix_diag',
        'inet_diag',
        'tcp_diag',
        'udp_diag',
        'af_packet_diag',
        'netlink_diag',
      ],
      memoryMb: 1536,
      timeoutMs: 580_000,
    });
  }, 750_000);

  test.each(checks)('%s', name => expect(verdict(name)).toBeUndefined());
});
