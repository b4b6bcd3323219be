import type { Pod } from '@naru/api';
import { silentLogger, systemClock } from '@naru/foundation';
import type { CgroupDriver } from './cgroup-driver';
import { CgroupTree, cgroupFiles, findCgroups, sharesToWeight } from './cgroup-tree';
import { CgroupUsage } from './cgroup-usage';
import { PodCgroups, podCgroupValues } from './pod-cgroups';
import { SystemdDriver, sliceProperties } from './systemd-driver';

const hybrid = `30 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate
31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
32 24 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
33 24 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd`;

describe('findCgroups', () => {
  it('reads a hybrid machine as version 1', () => {
    const mounts = findCgroups(hybrid);
    expect(mounts.version).toBe(1);
    expect(mounts.controllers.get('cpuacct')).toBe('/sys/fs/cgroup/cpu,cpuacct');
    expect(mounts.controllers.get('name=systemd')).toBe('/sys/fs/cgroup/systemd');
  });

  it('reads a pure machine as version 2', () => {
    const mounts = findCgroups('30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw');
    expect(mounts.version).toBe(2);
    expect(mounts.controllers.get('memory')).toBe('/sys/fs/cgroup');
  });
});

describe('cgroupFiles', () => {
  it('writes version 1 files', () => {
    const values = { cpuShares: 102, cpuQuotaUs: 0, memoryLimitBytes: 5, maxPids: 0 };
    expect(cgroupFiles(1, values).map(({ file, text }) => `${file}=${text}`)).toEqual([
      'cpu.shares=102',
      'cpu.cfs_period_us=100000',
      'cpu.cfs_quota_us=-1',
      'memory.limit_in_bytes=5',
      'pids.max=max',
    ]);
  });

  it('writes version 2 files', () => {
    const values = { cpuShares: 1024, cpuQuotaUs: 50_000, memoryLimitBytes: 0 };
    expect(cgroupFiles(2, values).map(({ file, text }) => `${file}=${text}`)).toEqual([
      'cpu.weight=39',
      'cpu.max=50000 100000',
      'memory.max=max',
    ]);
    expect([sharesToWeight(2), sharesToWeight(262_144)]).toEqual([1, 10_000]);
  });
});

describe('the systemd driver', () => {
  const tree = new CgroupTree(findCgroups(''));
  const driver = new SystemdDriver({ tree, clock: systemClock });

  it('names slices so that each dash is a step', () => {
    expect(driver.path(['/', 'kubepods', 'burstable', 'pod1f-2e'])).toBe(
      '/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1f_2e.slice',
    );
    expect(driver.path(['/lab/my-node', 'kubepods'])).toBe('/lab.slice/lab-my_node.slice/lab-my_node-kubepods.slice');
  });

  it('says limits in the units of systemd', () => {
    const none = 2n ** 64n - 1n;
    expect(sliceProperties({ cpuShares: 1024, cpuQuotaUs: 12_345, memoryLimitBytes: 0, maxPids: 7 })).toEqual([
      ['CPUWeight', 't', '39'],
      ['CPUQuotaPeriodUSec', 't', '100000'],
      ['CPUQuotaPerSecUSec', 't', '130000'],
      ['MemoryMax', 't', String(none)],
      ['TasksMax', 't', '7'],
    ]);
  });
});

const none = { podPidsLimit: 0, hugePageSizes: [] };

describe('podCgroupValues', () => {
  const pod = (...limits: Record<string, string>[]): Pod => ({
    spec: {
      containers: limits.map((each, index) => ({ name: `c${index}`, resources: { limits: each, requests: each } })),
    },
  });

  it('adds up the limits when every container has one', () => {
    expect(podCgroupValues(pod({ cpu: '1', memory: '1Mi' }, { cpu: '500m', memory: '1Mi' }), none)).toMatchObject({
      cpuShares: 1536,
      cpuQuotaUs: 150_000,
      memoryLimitBytes: 2 << 20,
    });
  });

  it('are what the pod asks for as a whole, whatever its containers ask for', () => {
    const { spec } = pod({ cpu: '1', memory: '1Mi' }, {});
    const resources = { requests: { cpu: '1500m' }, limits: { cpu: '2', memory: '8Mi' } };
    expect(podCgroupValues({ spec: { ...spec!, resources } }, none)).toMatchObject({
      cpuShares: 1536,
      cpuQuotaUs: 200_000,
      memoryLimitBytes: 8 << 20,
    });
  });

  it('leaves the pod without a limit when one container has none', () => {
    expect(podCgroupValues(pod({ cpu: '1' }, {}), { ...none, podPidsLimit: 64 })).toMatchObject({
      cpuQuotaUs: 0,
      memoryLimitBytes: 0,
      maxPids: 64,
    });
  });
});

describe('the huge pages of a pod', () => {
  it('are those of its containers together, and none of other sizes', () => {
    const asks = (text: string) => ({ name: text, resources: { limits: { 'hugepages-2Mi': text } } });
    const pod: Pod = { spec: { initContainers: [asks('2Mi')], containers: [asks('4Mi'), asks('6Mi'), { name: 'c' }] } };
    const { hugePages } = podCgroupValues(pod, { ...none, hugePageSizes: [2 ** 21, 2 ** 30] });
    const files = (version: 1 | 2): string[] =>
      cgroupFiles(version, { hugePages }).map(({ file, text }) => `${file}=${text}`);
    expect(files(1)).toEqual([`hugetlb.2MB.limit_in_bytes=${10 * 2 ** 20}`, 'hugetlb.1GB.limit_in_bytes=0']);
    expect(files(2)).toEqual([`hugetlb.2MB.max=${10 * 2 ** 20}`, 'hugetlb.1GB.max=0']);
  });
});

describe('the class of burstable pods', () => {
  const pod = (uid: string, cpu: string): Pod => ({
    metadata: { uid },
    spec: { containers: [{ name: 'main', resources: { requests: { cpu } } }] },
  });

  /** A driver that takes its time: `wait` holds back what is written to the class. */
  function slowCgroups(wait: (shares: number) => Promise<void>): { cgroups: PodCgroups; written: number[] } {
    const written: number[] = [];
    const tree = new CgroupTree(findCgroups(''));
    const driver: CgroupDriver = {
      path: names => names.join('/'),
      async create(cgroup, { cpuShares: shares = 0 }) {
        if (!cgroup.endsWith('/burstable')) return;
        await wait(shares);
        written.push(shares);
      },
      remove: () => Promise.resolve(),
    };
    const usage = new CgroupUsage({ tree, clock: systemClock });
    const deps = { tree, driver, usage, clock: systemClock, root: '', logger: silentLogger, ...none };
    return { cgroups: new PodCgroups(deps), written };
  }

  it('weighs what its pods request together also when the first change takes longer than the second', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>(resolve => (release = resolve));
    const { cgroups, written } = slowCgroups(shares => (shares === 1024 ? held : Promise.resolve()));
    const both = Promise.all([cgroups.create(pod('a', '1')), cgroups.create(pod('b', '1'))]);
    // Everything that does not wait for the first change has been done by then.
    await new Promise(resolve => setImmediate(resolve));
    release();
    await both;
    expect(written.at(-1)).toBe(2048);
    await cgroups.remove('b');
    expect(written.at(-1)).toBe(1024);
  });

  it('is weighed anew by the next attempt when one has failed', async () => {
    let failures = 1;
    const { cgroups, written } = slowCgroups(() =>
      failures-- > 0 ? Promise.reject(new Error('systemd is busy')) : Promise.resolve(),
    );
    await expect(cgroups.create(pod('a', '1'))).rejects.toThrow('systemd is busy');
    await cgroups.create(pod('a', '1'));
    expect(written).toEqual([1024]);
  });
});
