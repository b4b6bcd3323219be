import { configMaps, coreEvents, nodes } from '@naru/api';
import { eventually } from '@naru/testing';
import type { Kubelet } from '../kubelet';
import type { Summary } from '../stats/summary-types';
import { TestNode, forever, image, isReady, nodeName, patient, shell, whyNot } from './test-node';

const withRoot = whyNot() ? describe.skip : describe;

withRoot('the kubelet on containerd', () => {
  let node: TestNode;
  let kubelet: Kubelet;

  beforeAll(async () => {
    node = await TestNode.create('containerd');
    kubelet = await node.startKubelet();
  });

  afterAll(() => node?.close());

  const log = async (name: string): Promise<string> =>
    (await node.fetch(kubelet, `/containerLogs/default/${name}/main`)).text;

  it('names the runtime and becomes Ready', async () => {
    await eventually(async () => {
      const { status } = await node.api.get(nodes, { name: nodeName });
      expect(status?.nodeInfo?.containerRuntimeVersion).toMatch(/^containerd:\/\/1\./);
      expect(status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('True');
    });
  });

  it('runs a pod to Ready on containerd, serves its log and its figures, and deletes it', async () => {
    await node.create('web', { containers: [shell(`echo hello; ${forever}`)] });
    const pod = await node.untilReady('web');
    expect(pod.status?.containerStatuses?.[0]?.containerID).toMatch(/^containerd:\/\/[0-9a-f]{64}$/);
    expect(pod.status?.podIP).toBeDefined();
    await eventually(async () => expect(await log('web')).toBe('hello\n'));
    await eventually(async () => {
      const { pods } = JSON.parse((await node.fetch(kubelet, '/stats/summary')).text) as Summary;
      const [own] = pods;
      expect(own?.memory?.workingSetBytes).toBeGreaterThan(0);
      expect(own?.containers[0]?.cpu?.usageCoreNanoSeconds).toBeGreaterThan(0);
    });
    await eventually(async () => {
      const cadvisor = (await node.fetch(kubelet, '/metrics/cadvisor')).text;
      expect(cadvisor).toMatch(/^container_memory_working_set_bytes\{container="main",.*pod="web"\} [1-9]/m);
      expect(cadvisor).toMatch(/^container_network_receive_bytes_total\{.*interface="eth0".*pod="web"\} \d+$/m);
    });
    await node.delete('web');
    expect(kubelet.workers.list()).toHaveLength(0);
  });

  it('restarts a container on containerd with back-off and tells how it ended', async () => {
    await node.create('crash', { containers: [shell('echo last words > /dev/termination-log; exit 3')] });
    const pod = await eventually(async () => {
      const found = await node.get('crash');
      expect(found.status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe('CrashLoopBackOff');
      return found;
    });
    expect(pod.status?.containerStatuses?.[0]?.lastState?.terminated).toMatchObject({
      exitCode: 3,
      reason: 'Error',
      message: 'last words\n',
    });
    await node.delete('crash');
  });

  it('runs init containers, a sidecar, hooks and probes on containerd', async () => {
    const volumeMounts = [{ name: 'v', mountPath: '/v' }];
    await node.api.create(configMaps, { metadata: { name: 'c', namespace: 'default' }, data: { key: 'from the map' } });
    await node.create('whole', {
      volumes: [
        { name: 'v', emptyDir: {} },
        { name: 'm', configMap: { name: 'c' } },
      ],
      initContainers: [
        shell('echo -n 1 >> /v/order', { name: 'one', volumeMounts }),
        shell(`echo -n 2 >> /v/order; ${forever}`, { name: 'side', restartPolicy: 'Always', volumeMounts }),
      ],
      containers: [
        shell(`cat /v/order /m/key; echo; ${forever}`, {
          volumeMounts: [...volumeMounts, { name: 'm', mountPath: '/m' }],
          lifecycle: { postStart: { exec: { command: ['touch', '/v/started'] } } },
          readinessProbe: { exec: { command: ['test', '-e', '/v/started'] }, ...patient },
        }),
      ],
    });
    await node.untilReady('whole');
    await eventually(async () => expect(await log('whole')).toBe('12from the map\n'));
    await node.delete('whole');
  });

  it('leaves containers of containerd running over its restart', async () => {
    await node.create('survivor', { containers: [shell(forever)] });
    const before = await node.untilReady('survivor');
    await node.stopKubelet(kubelet);
    kubelet = await node.startKubelet();
    await eventually(() => expect(kubelet.workers.list()[0]?.lastRuntime.containers).toHaveLength(1));
    const after = await node.get('survivor');
    expect(isReady(after)).toBe(true);
    expect(after.status?.containerStatuses).toEqual(before.status?.containerStatuses);
    await node.delete('survivor');
  });

  it('refuses what containerd cannot do as upstream does', async () => {
    const container = shell(forever);
    const readOnly = (recursiveReadOnly: 'Enabled' | 'IfPossible') => ({
      volumes: [{ name: 'v', emptyDir: {} }],
      containers: [
        shell(forever, { volumeMounts: [{ name: 'v', mountPath: '/v', readOnly: true, recursiveReadOnly }] }),
      ],
    });
    await node.create('mapped', { hostUsers: false, containers: [container] });
    await node.create('strict', { securityContext: { supplementalGroupsPolicy: 'Strict' }, containers: [container] });
    await node.create('enabled', readOnly('Enabled'));
    await node.create('possible', readOnly('IfPossible'));
    await node.create('of-image', {
      volumes: [{ name: 'v', image: { reference: image, pullPolicy: 'IfNotPresent' } }],
      containers: [shell(forever, { volumeMounts: [{ name: 'v', mountPath: '/v' }] })],
    });
    await eventually(async () =>
      expect(await node.events('mapped')).toContainEqual({
        reason: 'FailedCreatePodSandBox',
        message:
          'Failed to create pod sandbox: can\'t set `spec.hostUsers: false`, runtime does not support user namespaces: the handler "" is not known',
      }),
    );
    await eventually(async () =>
      expect((await node.get('strict')).status).toMatchObject({
        phase: 'Failed',
        reason: 'SupplementalGroupsPolicyNotSupported',
        message: 'Pod was rejected: SupplementalGroupsPolicy=Strict is not supported in this node',
      }),
    );
    await eventually(async () =>
      expect((await node.get('enabled')).status?.containerStatuses?.[0]?.state?.waiting).toEqual({
        reason: 'CreateContainerConfigError',
        message:
          'failed to resolve recursive read-only mode: volume "v" requested recursive read-only mode, but it is not supported by the runtime',
      }),
    );
    const { status } = await node.untilReady('possible');
    expect(status?.containerStatuses?.[0]?.volumeMounts).toEqual([
      { name: 'v', mountPath: '/v', readOnly: true, recursiveReadOnly: 'Disabled' },
    ]);
    // Containerd 1 knows no volumes of images, and says so in other words each time, which is no reason to try at once.
    const failures = await eventually(async () => {
      const { items } = await node.api.list(coreEvents, { namespace: 'default' });
      const found = items.filter(
        ({ involvedObject, reason }) => involvedObject.name === 'of-image' && reason === 'Failed',
      );
      expect(new Set(found.map(({ message }) => message)).size).toBeGreaterThan(1);
      return found.map(({ firstTimestamp }) => Date.parse(firstTimestamp ?? '')).sort((a, b) => a - b);
    });
    for (const [index, time] of failures.slice(1).entries())
      expect(time - (failures[index] ?? time)).toBeGreaterThanOrEqual(1_000);
    await eventually(async () =>
      expect((await node.get('of-image')).status?.containerStatuses?.[0]?.state?.waiting?.reason).toBe(
        'CreateContainerError',
      ),
    );
    await Promise.all(['mapped', 'strict', 'enabled', 'possible', 'of-image'].map(name => node.delete(name)));
  });

  it("passes containerd's words on for an image that cannot be pulled", async () => {
    await node.create('absent', { containers: [shell(forever, { image: '127.0.0.1:1/none:x' })] });
    await eventually(async () => {
      const waiting = (await node.get('absent')).status?.containerStatuses?.[0]?.state?.waiting;
      expect(waiting?.reason).toMatch(/^(ErrImagePull|ImagePullBackOff)$/);
      expect(waiting?.message).toContain('127.0.0.1:1');
    });
    await node.untilTold('absent', 'Failed');
    await node.delete('absent');
  });
});
