import type { Node, Pod, Stored } from '@naru/api';
import { silentLogger, systemClock } from '@naru/foundation';
import type { PodEvents } from '../pods/pod-events';
import type { PodStats, Summary } from '../stats/summary-types';
import { EvictionManager, type EvictablePod, type EvictionManagerDeps } from './eviction-manager';
import { parseThresholds, type ThresholdSettings } from './thresholds';

const mi = 2 ** 20;
const gi = 2 ** 30;
const time = '2026-01-01T00:00:00Z';

interface Reading {
  memory?: number;
  nodefs?: number;
  imagefs?: number;
  inodes?: number;
  pids?: number;
}

/** A node of 8 GiB memory, 100 GiB disk, 10,000 inodes and 1,000 processes, of which so much is left. */
function nodeStats({
  memory = 4 * gi,
  nodefs = 50 * gi,
  imagefs = nodefs,
  inodes = 5_000,
  pids = 500,
}: Reading): Summary['node'] {
  const disk = (availableBytes: number) => ({
    time,
    availableBytes,
    capacityBytes: 100 * gi,
    inodesFree: inodes,
    inodes: 10_000,
  });
  return {
    nodeName: 'n',
    systemContainers: [],
    startTime: time,
    memory: { time, availableBytes: memory, workingSetBytes: 8 * gi - memory },
    fs: disk(nodefs),
    runtime: { imageFs: disk(imagefs) },
    rlimit: { time, maxpid: 1_000, curproc: 1_000 - pids },
  };
}

interface Use {
  memory?: number;
  rootfs?: number;
  logs?: number;
  volumes?: Record<string, number>;
  processes?: number;
}

function podStats(uid: string, use: Use): PodStats {
  const { memory = 0, rootfs = 0, logs = 0, volumes = {}, processes = 1 } = use;
  const own = Object.values(volumes).reduce((sum, each) => sum + each, 0);
  return {
    podRef: { name: uid, namespace: 'default', uid },
    startTime: time,
    memory: { time, workingSetBytes: memory },
    containers: [
      {
        name: 'c',
        startTime: time,
        memory: { time, workingSetBytes: memory },
        rootfs: { time, usedBytes: rootfs },
        logs: { time, usedBytes: logs },
      },
    ],
    volume: Object.entries(volumes).map(([name, usedBytes]) => ({ time, name, usedBytes })),
    'ephemeral-storage': { time, usedBytes: rootfs + logs + own },
    process_stats: { process_count: processes },
  };
}

class Lab {
  now = 1_000_000;
  reading: Reading = {};
  readonly evicted: { name: string; message: string; graceSeconds: number; disruption: boolean | undefined }[] = [];
  readonly events: string[] = [];
  readonly counted: string[] = [];
  pressureChanges = 0;
  reclaim: () => void = () => undefined;
  dedicated = false;
  private readonly pods: EvictablePod[] = [];
  private readonly stats: PodStats[] = [];

  pod(
    name: string,
    use: Use,
    spec: Partial<NonNullable<Pod['spec']>> & { request?: string } = {},
    annotations = {},
  ): Pod {
    const { request, ...rest } = spec;
    const resources = request ? { requests: { memory: request } } : {};
    const current: Stored<Pod> = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { uid: name, name, namespace: 'default', resourceVersion: '1', annotations },
      spec: { containers: [{ name: 'c', resources }], ...rest },
    };
    this.stats.push(podStats(name, use));
    this.pods.push({
      uid: name,
      current,
      evict: ({ message, disruption }, graceSeconds) => {
        this.evicted.push({ name, message, graceSeconds, disruption });
        this.pods.splice(
          this.pods.findIndex(({ uid }) => uid === name),
          1,
        );
        return Promise.resolve();
      },
    });
    return current;
  }

  manager(settings: Partial<ThresholdSettings> = {}, more: Partial<EvictionManagerDeps> = {}): EvictionManager {
    const events = {
      pod: (_: Pod, type: string, reason: string) => this.events.push(`${type} ${reason}`),
      node: (_: Node, type: string, reason: string, message: string) =>
        this.events.push(`${type} ${reason} ${message}`),
    } as unknown as PodEvents;
    return new EvictionManager({
      thresholds: parseThresholds({
        evictionHard: {
          'memory.available': '100Mi',
          'nodefs.available': '10%',
          'imagefs.available': '15%',
          'pid.available': '100',
          'nodefs.inodesFree': '5%',
        },
        evictionSoft: {},
        evictionSoftGracePeriod: {},
        evictionMinimumReclaim: {},
        enforceNodeAllocatable: ['pods'],
        ...settings,
      }),
      nodeStats: () => Promise.resolve(nodeStats(this.reading)),
      summary: () => Promise.resolve({ node: nodeStats(this.reading), pods: this.stats }),
      activePods: () => [...this.pods],
      dedicatedImageFs: () => Promise.resolve(this.dedicated),
      reclaim: [() => Promise.resolve(this.reclaim())],
      onPressure: () => this.pressureChanges++,
      onEviction: signal => this.counted.push(signal),
      node: () => ({ metadata: { name: 'n' } }),
      events,
      clock: { ...systemClock, now: () => this.now },
      logger: silentLogger,
      measureMs: 60_000,
      transitionMs: 300_000,
      maxPodGraceSeconds: 30,
      localStorageIsolation: true,
      ...more,
    });
  }
}

describe('the eviction manager', () => {
  it('leaves a node alone that has enough of everything', async () => {
    const lab = new Lab();
    lab.pod('a', { memory: gi });
    const manager = lab.manager();
    expect(await manager.synchronize()).toEqual([]);
    expect(manager.pressures).toEqual([]);
    expect(lab.evicted).toEqual([]);
  });

  it('evicts the pod that is most over its request when memory runs out, one at a time', async () => {
    const lab = new Lab();
    lab.pod('within', { memory: 900 * mi }, { request: '1Gi' });
    lab.pod('over', { memory: 600 * mi }, { request: '500Mi' });
    lab.pod('far-over', { memory: 800 * mi });
    lab.reading = { memory: 50 * mi };
    const manager = lab.manager();
    await manager.synchronize();
    await manager.synchronize();
    expect(lab.evicted.map(({ name }) => name)).toEqual(['far-over', 'over']);
    expect(lab.evicted[0]).toEqual({
      name: 'far-over',
      graceSeconds: 1,
      disruption: true,
      message:
        'The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. ' +
        'Container c was using 800Mi, request is 0, has larger consumption of memory. ',
    });
    expect(manager.pressures).toEqual(['MemoryPressure']);
    expect(lab.events).toContain('Warning EvictionThresholdMet Attempting to reclaim memory');
    expect(lab.counted).toEqual(['memory.available', 'memory.available']);
  });

  it('evicts by priority among pods that are over their requests', async () => {
    const lab = new Lab();
    lab.pod('important', { memory: 2 * gi }, { priority: 1000 });
    lab.pod('humble', { memory: gi }, { priority: 1 });
    lab.reading = { memory: 0 };
    await lab.manager().synchronize();
    expect(lab.evicted.map(({ name }) => name)).toEqual(['humble']);
  });

  it('never evicts critical and static pods', async () => {
    const lab = new Lab();
    lab.pod('system', { memory: 3 * gi }, { priority: 2_000_000_000 });
    lab.pod('static', { memory: 2 * gi }, {}, { 'kubernetes.io/config.source': 'file' });
    lab.reading = { memory: 0 };
    await lab.manager().synchronize();
    expect(lab.evicted).toEqual([]);
  });

  it('waits out the grace period of a soft threshold and then gives pods theirs', async () => {
    const lab = new Lab();
    lab.pod('a', { memory: gi });
    lab.reading = { memory: 500 * mi };
    const manager = lab.manager({
      evictionSoft: { 'memory.available': '1Gi' },
      evictionSoftGracePeriod: { 'memory.available': '1m' },
    });
    await manager.synchronize();
    expect(manager.pressures).toEqual(['MemoryPressure']);
    lab.now += 59_000;
    await manager.synchronize();
    expect(lab.evicted).toEqual([]);
    lab.now += 1_000;
    await manager.synchronize();
    expect(lab.evicted).toMatchObject([{ name: 'a', graceSeconds: 30 }]);
  });

  it('keeps a condition for the transition period after it ended', async () => {
    const lab = new Lab();
    lab.reading = { pids: 10 };
    const manager = lab.manager();
    await manager.synchronize();
    expect(manager.pressures).toEqual(['PIDPressure']);
    lab.reading = {};
    lab.now += 299_000;
    await manager.synchronize();
    expect(manager.pressures).toEqual(['PIDPressure']);
    lab.now += 2_000;
    await manager.synchronize();
    expect(manager.pressures).toEqual([]);
    expect(lab.pressureChanges).toBe(2);
  });

  it('goes on until the minimum to reclaim is back', async () => {
    const lab = new Lab();
    lab.pod('a', { memory: 3 * gi });
    lab.pod('b', { memory: 2 * gi });
    const manager = lab.manager({ evictionMinimumReclaim: { 'memory.available': '1Gi' } });
    lab.reading = { memory: 50 * mi };
    await manager.synchronize();
    lab.reading = { memory: 900 * mi };
    await manager.synchronize();
    expect(lab.evicted.map(({ name }) => name)).toEqual(['a', 'b']);
    lab.reading = { memory: 2 * gi };
    lab.pod('c', { memory: gi });
    expect(await manager.synchronize()).toEqual([]);
  });

  it('gives back images and dead containers before it evicts a pod for the disk', async () => {
    const lab = new Lab();
    lab.pod('a', { rootfs: gi });
    lab.reading = { nodefs: gi };
    lab.reclaim = () => (lab.reading = { nodefs: 50 * gi });
    await lab.manager().synchronize();
    expect(lab.evicted).toEqual([]);
    expect(lab.events).toContain('Warning EvictionThresholdMet Attempting to reclaim ephemeral-storage');
  });

  it('counts layers, logs and local volumes against a pod when the disk is full', async () => {
    const lab = new Lab();
    lab.pod('layer', { rootfs: 3 * gi });
    lab.pod('volume', { volumes: { v: 4 * gi } }, { volumes: [{ name: 'v', emptyDir: {} }] });
    lab.pod('memory-volume', { volumes: { v: 9 * gi } }, { volumes: [{ name: 'v', emptyDir: { medium: 'Memory' } }] });
    lab.reading = { nodefs: gi };
    const manager = lab.manager();
    await manager.synchronize();
    expect(lab.evicted.map(({ name }) => name)).toEqual(['volume']);
    expect(manager.pressures).toEqual(['DiskPressure']);
  });

  it('counts only layers when images have a disk of their own and that is full', async () => {
    const lab = new Lab();
    lab.dedicated = true;
    lab.pod('layer', { rootfs: gi });
    lab.pod('volume', { volumes: { v: 4 * gi } }, { volumes: [{ name: 'v', emptyDir: {} }] });
    lab.reading = { imagefs: gi, nodefs: 50 * gi };
    await lab.manager().synchronize();
    expect(lab.evicted.map(({ name }) => name)).toEqual(['layer']);
  });

  it('evicts the pod with most processes when the node runs out of them', async () => {
    const lab = new Lab();
    lab.pod('few', { processes: 2 });
    lab.pod('bomb', { processes: 800 });
    lab.reading = { pids: 20 };
    await lab.manager().synchronize();
    expect(lab.evicted).toMatchObject([
      { name: 'bomb', message: 'The node was low on resource: pids. Threshold quantity: 100, available: 20. ' },
    ]);
  });

  it('evicts pods over their storage limits without any pressure', async () => {
    const lab = new Lab();
    const limited = (limit: string) => [{ name: 'c', resources: { limits: { 'ephemeral-storage': limit } } }];
    lab.pod('dir', { volumes: { v: 20 * mi } }, { volumes: [{ name: 'v', emptyDir: { sizeLimit: '10Mi' } }] });
    lab.pod('whole', { rootfs: 6 * mi, logs: 6 * mi }, { containers: limited('10Mi') });
    lab.pod(
      'fine',
      { rootfs: 3 * mi, volumes: { v: mi } },
      { containers: limited('10Mi'), volumes: [{ name: 'v', emptyDir: { sizeLimit: '10Mi' } }] },
    );
    await lab.manager().synchronize();
    expect(lab.evicted).toEqual([
      {
        name: 'dir',
        graceSeconds: 1,
        disruption: false,
        message: 'Usage of EmptyDir volume "v" exceeds the limit "10Mi". ',
      },
      {
        name: 'whole',
        graceSeconds: 1,
        disruption: false,
        message: 'Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. ',
      },
    ]);
    expect(lab.counted).toEqual(['emptydirfs.limit', 'ephemeralpodfs.limit']);
  });

  it('evicts for a container over its own limit when others leave the pod within its own', async () => {
    const lab = new Lab();
    const limits = (limit: string) => ({ resources: { limits: { 'ephemeral-storage': limit } } });
    lab.pod(
      'a',
      { rootfs: 20 * mi },
      {
        containers: [
          { name: 'c', ...limits('10Mi') },
          { name: 'd', ...limits('50Mi') },
        ],
      },
    );
    await lab.manager().synchronize();
    expect(lab.evicted[0]?.message).toBe('Container c exceeded its local ephemeral storage limit "10Mi". ');
  });

  it('refuses best-effort pods under memory pressure and all but critical ones under other pressure', async () => {
    const lab = new Lab();
    lab.reading = { memory: 0 };
    const manager = lab.manager();
    await manager.synchronize();
    expect(manager.admit(lab.pod('best-effort', {}))).toEqual({
      reason: 'Evicted',
      message: 'Pod was rejected: The node had condition: [MemoryPressure]. ',
    });
    expect(manager.admit(lab.pod('burstable', {}, { request: '1Mi' }))).toBeUndefined();
    const tolerations = [{ key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' }];
    expect(manager.admit(lab.pod('tolerant', {}, { tolerations }))).toBeUndefined();
    lab.reading = { nodefs: 0 };
    await manager.synchronize();
    expect(manager.admit(lab.pod('another', {}, { request: '1Mi' }))?.reason).toBe('Evicted');
    expect(manager.admit(lab.pod('critical', {}, { priority: 2_000_000_001 }))).toBeUndefined();
  });
});
