import { nodes, pods, type Container, type Pod, type Stored } from '@naru/api';
import { eventually } from '@naru/testing';
import type { Kubelet } from '../kubelet';
import { TestNode, forever, nodeName, patient, shell, whyNot } from './test-node';

const skipped = whyNot();
const withRoot = skipped ? describe.skip : describe;
if (skipped) process.stdout.write(`resize tests are skipped: ${skipped}\n`);

type Resources = NonNullable<Container['resources']>;

withRoot('the resize of a running pod', () => {
  let node: TestNode;
  let kubelet: Kubelet;

  beforeAll(async () => {
    node = await TestNode.create();
    kubelet = await node.startKubelet();
    await eventually(async () =>
      expect((await node.api.get(nodes, { name: nodeName })).status?.allocatable).toBeDefined(),
    );
  });

  afterAll(() => node?.close());

  const same = (cpu: string, memory: string): Resources => ({ requests: { cpu, memory }, limits: { cpu, memory } });

  async function start(name: string, resources: Resources, resizePolicy?: Container['resizePolicy']): Promise<Pod> {
    await node.create(name, { containers: [shell(forever, { resources, ...(resizePolicy ? { resizePolicy } : {}) })] });
    return node.untilReady(name);
  }

  /** What the resize subresource leaves in the spec of a pod that asks for something as a whole. */
  async function resizePod(name: string, resources: Resources): Promise<void> {
    await node.api.patch(pods, { namespace: 'default', name }, { type: 'merge', body: { spec: { resources } } });
  }

  /** What the resize subresource leaves in the spec. */
  async function resize(name: string, resources: Resources): Promise<void> {
    const { spec } = await node.get(name);
    const containers = spec?.containers.map(container => ({ ...container, resources }));
    await node.api.patch(pods, { namespace: 'default', name }, { type: 'merge', body: { spec: { containers } } });
  }

  const first = (pod: Pod) => pod.status?.containerStatuses?.[0];
  const conditionsOf = async (name: string) =>
    ((await node.get(name)).status?.conditions ?? [])
      .filter(({ type }) => type.startsWith('PodResize'))
      .map(({ type, status, reason, message }) => ({ type, status, reason, message }));

  /** The limits that the kernel has for the container. */
  async function inEffect(name: string, container?: string): Promise<{ quota: number; memory: number }> {
    const script =
      'if [ -e /sys/fs/cgroup/cpu.max ]; then cut -d" " -f1 /sys/fs/cgroup/cpu.max; cat /sys/fs/cgroup/memory.max; ' +
      'else cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/memory/memory.limit_in_bytes; fi';
    const [quota = '', memory = ''] = (await node.execIn(name, container, 'sh', '-c', script)).split('\n');
    return { quota: Number(quota), memory: Number(memory) };
  }

  const mi = 1 << 20;

  it('changes the limits of the container as it runs', async () => {
    const before = await start('grow', same('100m', '64Mi'));
    expect(await inEffect('grow')).toEqual({ quota: 10_000, memory: 64 * mi });
    await resize('grow', same('200m', '128Mi'));
    await eventually(async () => expect(await inEffect('grow')).toEqual({ quota: 20_000, memory: 128 * mi }));
    const after = await eventually(async () => {
      const pod = await node.get('grow');
      expect(first(pod)?.resources).toEqual(same('200m', '128Mi'));
      return pod;
    });
    expect(first(after)).toMatchObject({
      containerID: first(before)?.containerID,
      restartCount: 0,
      allocatedResources: { cpu: '200m', memory: '128Mi' },
    });
    await eventually(async () => expect(await conditionsOf('grow')).toEqual([]));
    await node.untilTold('grow', 'ResizeStarted', 'ResizeCompleted');
    await resize('grow', same('100m', '32Mi'));
    await eventually(async () => expect(await inEffect('grow')).toEqual({ quota: 10_000, memory: 32 * mi }));
    await node.delete('grow');
  });

  it('changes the limits of an init container as it runs', async () => {
    const initContainer = (resources: Resources): Container =>
      shell('until [ -e /tmp/go ]; do sleep 0.1; done', { name: 'first', resources });
    const initContainers = [initContainer(same('100m', '32Mi'))];
    await node.create('early', { initContainers, containers: [shell(forever)] });
    await eventually(async () => {
      const { initContainerStatuses } = (await node.get('early')).status ?? {};
      expect(initContainerStatuses).toMatchObject([{ state: { running: {} } }]);
    });
    const body = { spec: { initContainers: [initContainer(same('200m', '32Mi'))] } };
    await node.api.patch(pods, { namespace: 'default', name: 'early' }, { type: 'merge', body });
    await eventually(async () => expect(await inEffect('early', 'first')).toEqual({ quota: 20_000, memory: 32 * mi }));
    await node.execIn('early', 'first', 'touch', '/tmp/go');
    const { status } = await node.untilReady('early');
    expect(status?.initContainerStatuses).toMatchObject([{ restartCount: 0, resources: same('200m', '32Mi') }]);
    await node.delete('early');
  });

  it('starts the container anew for a resource whose policy says so, and only for that', async () => {
    const policy = [
      { resourceName: 'cpu', restartPolicy: 'NotRequired' },
      { resourceName: 'memory', restartPolicy: 'RestartContainer' },
    ];
    const before = await start('policy', same('100m', '64Mi'), policy);
    await resize('policy', same('150m', '64Mi'));
    await eventually(async () => expect((await inEffect('policy')).quota).toBe(15_000));
    expect(first(await node.get('policy'))?.containerID).toBe(first(before)?.containerID);
    await resize('policy', same('150m', '96Mi'));
    await eventually(async () => {
      expect(first(await node.get('policy'))).toMatchObject({
        restartCount: 1,
        ready: true,
        resources: same('150m', '96Mi'),
      });
    });
    expect(await inEffect('policy')).toEqual({ quota: 15_000, memory: 96 * mi });
    await node.delete('policy');
  });

  it('waits for room, says never when there cannot be any, and remembers over a restart what it gave', async () => {
    const { status } = await node.api.get(nodes, { name: nodeName });
    const millis = Number(status?.allocatable?.['cpu']) * 1000;
    const half = `${millis / 2}m`;
    await start('neighbour', { requests: { cpu: half } });
    await start('wants', { requests: { cpu: '100m' } });
    await resize('wants', { requests: { cpu: `${millis * 2}m` } });
    await eventually(async () =>
      expect(await conditionsOf('wants')).toEqual([
        {
          type: 'PodResizePending',
          status: 'True',
          reason: 'Infeasible',
          message: `Node didn't have enough capacity: cpu, requested: ${millis * 2}, capacity: ${millis}`,
        },
      ]),
    );
    await resize('wants', { requests: { cpu: `${millis / 2 + 100}m` } });
    const deferred = {
      type: 'PodResizePending',
      status: 'True',
      reason: 'Deferred',
      message: `Node didn't have enough resource: cpu, requested: ${millis / 2 + 100}, used: ${millis / 2}, capacity: ${millis}`,
    };
    await eventually(async () => expect(await conditionsOf('wants')).toEqual([deferred]));
    await node.stopKubelet(kubelet);
    kubelet = await node.startKubelet();
    await eventually(async () => expect(await conditionsOf('wants')).toEqual([deferred]));
    expect(first(await node.get('wants'))?.allocatedResources).toEqual({ cpu: '100m' });
    await node.delete('neighbour');
    await eventually(async () =>
      expect(first(await node.get('wants'))?.allocatedResources).toEqual({ cpu: `${millis / 2 + 100}m` }),
    );
    await eventually(async () => expect(await conditionsOf('wants')).toEqual([]));
    await node.delete('wants');
  });

  it('does not take memory that is in use', async () => {
    await node.create('full', {
      volumes: [{ name: 'memory', emptyDir: { medium: 'Memory' } }],
      containers: [
        shell(`head -c ${40 * mi} /dev/zero > /memory/file; touch /filled; ${forever}`, {
          resources: same('100m', '128Mi'),
          volumeMounts: [{ name: 'memory', mountPath: '/memory' }],
          readinessProbe: { exec: { command: ['test', '-e', '/filled'] }, ...patient },
        }),
      ],
    });
    await node.untilReady('full');
    await resize('full', same('100m', '16Mi'));
    await eventually(async () =>
      expect(await conditionsOf('full')).toEqual([
        {
          type: 'PodResizeInProgress',
          status: 'True',
          reason: 'Error',
          message: expect.stringMatching(
            new RegExp(`^attempting to set container memory limit \\(${16 * mi}\\) below current usage \\(\\d+\\)$`),
          ),
        },
      ]),
    );
    expect(first(await node.get('full'))).toMatchObject({ resources: same('100m', '128Mi') });
    expect((await inEffect('full')).memory).toBe(128 * mi);
    await node.delete('full');
  });

  describe('that asks for something as a whole', () => {
    const own = same('50m', '32Mi');

    function podLimits({ metadata }: Stored<Pod>): { quota: number; memory: number } {
      const file = (controller: string, files: [string, string]): number =>
        parseInt(node.cgroupFile(`kubepods/pod${metadata.uid}`, controller, files));
      return {
        quota: file('cpu', ['cpu.cfs_quota_us', 'cpu.max']),
        memory: file('memory', ['memory.limit_in_bytes', 'memory.max']),
      };
    }

    /** Two containers: one with limits of its own, one without. */
    async function startWhole(
      name: string,
      resources: Resources,
      resizePolicy?: Container['resizePolicy'],
    ): Promise<Stored<Pod>> {
      await node.create(name, {
        resources,
        containers: [
          shell(forever, { name: 'bounded', resources: own }),
          shell(forever, { name: 'open', ...(resizePolicy ? { resizePolicy } : {}) }),
        ],
      });
      return node.untilReady(name);
    }

    it('changes what its containers share as they run, and shows what is given and what is in effect', async () => {
      const before = await startWhole('whole', same('100m', '64Mi'));
      expect(before.status).toMatchObject({
        qosClass: 'Guaranteed',
        resources: same('100m', '64Mi'),
        allocatedResources: { cpu: '100m', memory: '64Mi' },
      });
      expect(podLimits(before)).toEqual({ quota: 10_000, memory: 64 * mi });
      expect(await inEffect('whole', 'open')).toEqual({ quota: 10_000, memory: 64 * mi });
      await resizePod('whole', same('200m', '128Mi'));
      await eventually(async () => expect(podLimits(before)).toEqual({ quota: 20_000, memory: 128 * mi }));
      await eventually(async () =>
        expect(await inEffect('whole', 'open')).toEqual({ quota: 20_000, memory: 128 * mi }),
      );
      const after = await eventually(async () => {
        const pod = await node.get('whole');
        expect(pod.status?.resources).toEqual(same('200m', '128Mi'));
        return pod;
      });
      expect(after.status?.allocatedResources).toEqual({ cpu: '200m', memory: '128Mi' });
      expect(after.status?.containerStatuses?.map(({ containerID }) => containerID)).toEqual(
        before.status?.containerStatuses?.map(({ containerID }) => containerID),
      );
      expect(await inEffect('whole', 'bounded')).toEqual({ quota: 5_000, memory: 32 * mi });
      await eventually(async () => expect(await conditionsOf('whole')).toEqual([]));
      await node.delete('whole');
    });

    it('starts a container anew that has its limits of the pod, where its policy says so', async () => {
      const policy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }];
      await startWhole('inherits', same('100m', '64Mi'), policy);
      await resizePod('inherits', same('100m', '96Mi'));
      await eventually(async () => {
        const { containerStatuses } = (await node.get('inherits')).status ?? {};
        expect(containerStatuses?.map(({ name, restartCount, ready }) => [name, restartCount, ready])).toEqual([
          ['bounded', 0, true],
          ['open', 1, true],
        ]);
      });
      expect((await inEffect('inherits', 'open')).memory).toBe(96 * mi);
      await node.delete('inherits');
    });

    it('says never when the node has not so much, and does not take memory that is in use', async () => {
      await startWhole('greedy', same('100m', '64Mi'));
      await resizePod('greedy', same('1000', '64Mi'));
      await eventually(async () =>
        expect(await conditionsOf('greedy')).toEqual([expect.objectContaining({ reason: 'Infeasible' })]),
      );
      expect((await node.get('greedy')).status).toMatchObject({
        resources: same('100m', '64Mi'),
        allocatedResources: { cpu: '100m', memory: '64Mi' },
      });
      await node.execIn('greedy', 'open', 'sh', '-c', `head -c ${40 * mi} /dev/zero > /dev/shm/file`);
      await resizePod('greedy', same('100m', '36Mi'));
      await eventually(async () =>
        expect(await conditionsOf('greedy')).toEqual([
          {
            type: 'PodResizeInProgress',
            status: 'True',
            reason: 'Error',
            message: expect.stringMatching(
              new RegExp(`^attempting to set container memory limit \\(${36 * mi}\\) below current usage \\(\\d+\\)$`),
            ),
          },
        ]),
      );
      expect((await node.get('greedy')).status).toMatchObject({ resources: same('100m', '64Mi') });
      await node.delete('greedy');
    });
  });
});
