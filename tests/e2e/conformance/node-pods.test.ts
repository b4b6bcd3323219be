import type { CoreEvent, Pod, PodSpec } from '@naru/api';
import { eventually } from '@naru/testing';
import { api, exec, makeNamespace, messagesOf, patienceMs, type Known } from './api';
import { Following } from './following';
import { image } from './node-pod-cases';

// What upstream's tests of pods do to the object: each in the order of its calls, all of them side by side.
let namespace: string;
let pods: Following<Pod>;
const path = (name: string): string => `${namespace}/pods/${name}`;

/** Ends at once when it is told to. */
const serving: PodSpec = { containers: [{ name: 'main', image, args: ['--http', '8080'] }] };
const idle: PodSpec = {
  terminationGracePeriodSeconds: 0,
  containers: [{ name: 'main', image, command: ['sh', '-c', 'echo container is alive; exec sleep 1000'] }],
};
const create = (name: string, spec: PodSpec = serving, metadata: object = {}): Promise<Known<Pod>> =>
  api.create<Pod>(`${namespace}/pods`, { metadata: { name, ...metadata }, spec });
const isRunning = ({ status }: Pod): boolean => status?.phase === 'Running';
const isReady = ({ status }: Pod): boolean =>
  status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
const running = (name: string): Promise<Known<Pod>> => pods.until(name, isRunning);
const numberOf = async (labelSelector: string): Promise<number> =>
  (await api.list(`${namespace}/pods?${new URLSearchParams({ labelSelector })}`)).items.length;
const removed = { reason: 'NotFound' };

beforeAll(async () => {
  namespace = await makeNamespace('node-pods');
  pods = await Following.start(`${namespace}/pods`);
});
afterAll(async () => {
  pods.stop();
  await api.remove(namespace);
});

test.concurrent('a pod is submitted and removed, which a watch shows', async () => {
  const labels = { time: 'submitted' };
  expect(await numberOf('time=submitted')).toBe(0);
  const watch = await Following.start<Pod>(`${namespace}/pods`, { labelSelector: 'time=submitted' });
  try {
    await create('submitted', serving, { labels });
    expect(await numberOf('time=submitted')).toBe(1);
    expect((await watch.event(() => true)).type).toBe('ADDED');
    await watch.until('submitted', isRunning);
    await api.remove(path('submitted'), { gracePeriodSeconds: 2 });
    const { object } = await watch.event(({ type }) => type === 'DELETED');
    expect(object.metadata.deletionTimestamp).toBeDefined();
    expect(object.metadata.deletionGracePeriodSeconds).toBe(2);
    expect(object.spec?.terminationGracePeriodSeconds).not.toBe(0);
    expect(await numberOf('time=submitted')).toBe(0);
  } finally {
    watch.stop();
  }
});

test.concurrent('a pod has the address of its node and can be relabelled', async () => {
  await create('updated', idle, { labels: { time: 'first' } });
  const { status } = await running('updated');
  expect(status?.hostIP).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
  expect(status?.hostIPs?.[0]?.ip).toBe(status?.hostIP);
  expect(await numberOf('time=first')).toBe(1);
  await api.change<Pod>(path('updated'), pod => (pod.metadata.labels = { time: 'second' }));
  expect(isRunning(await api.get<Pod>(path('updated')))).toBe(true);
  expect([await numberOf('time=first'), await numberOf('time=second')]).toEqual([0, 1]);
});

test.concurrent('a running pod that gets a deadline ends there', async () => {
  await create('deadline', idle);
  await running('deadline');
  await api.change<Pod>(path('deadline'), pod => (pod.spec!.activeDeadlineSeconds = 1));
  const { status } = await pods.until('deadline', pod => pod.status?.phase === 'Failed');
  expect(status?.reason).toBe('DeadlineExceeded');
});

test.concurrent('a pod and its status go through their life', async () => {
  const labels = { 'test-pod-static': 'true' };
  await create('lived', { ...idle, terminationGracePeriodSeconds: 1 }, { labels });
  const { metadata } = await pods.until('lived', isReady);
  const from = pods.seen.length;
  const other = 'naru.dev/web:v1';
  await api.patch(path('lived'), {
    metadata: { labels: { 'test-pod': 'patched' } },
    spec: { containers: [{ name: 'main', image: other }] },
  });
  await pods.event(({ type, object }) => type === 'MODIFIED' && object.metadata.labels?.['test-pod'], from);
  const patched = await api.get<Pod>(path('lived'));
  expect(patched.metadata.labels).toEqual({ ...labels, 'test-pod': 'patched' });
  expect(patched.spec?.containers[0]?.image).toBe(other);
  expect(patched.metadata.uid).toBe(metadata.uid);

  await pods.until('lived', pod => isReady(pod) && pod.status?.containerStatuses?.[0]?.restartCount === 1);
  const replaced = await api.change<Pod>(
    path('lived'),
    ({ status }) => {
      for (const condition of status?.conditions ?? [])
        if (['Ready', 'ContainersReady'].includes(condition.type) && condition.status === 'True')
          condition.status = 'False';
    },
    '/status',
  );
  const told = replaced.status?.conditions?.filter(({ type }) => ['Ready', 'ContainersReady'].includes(type));
  expect(told?.map(({ status }) => status)).toEqual(['False', 'False']);

  await api.remove(`${namespace}/pods?labelSelector=test-pod-static%3Dtrue`, { gracePeriodSeconds: 1 });
  await pods.event(({ type, object }) => type === 'DELETED' && object.metadata.name === 'lived', from);
  await expect(api.get(path('lived'))).rejects.toMatchObject(removed);
});

test.concurrent('the status of a pod can be patched', async () => {
  await create('patched', idle);
  await running('patched');
  const { metadata, status } = await api.patch<Pod>(`${path('patched')}/status`, {
    metadata: { annotations: { podstatus: 'patched' } },
    status: { message: 'Patched by a test', reason: 'Test' },
  });
  expect(metadata.annotations?.['podstatus']).toBe('patched');
  expect(status).toMatchObject({ message: 'Patched by a test', reason: 'Test' });
});

test.concurrent('a collection of pods is deleted', async () => {
  const names = ['collected-1', 'collected-2', 'collected-3'];
  const spec = { ...serving, terminationGracePeriodSeconds: 1, restartPolicy: 'Never' };
  await Promise.all(names.map(name => create(name, spec, { labels: { type: 'Testing' } })));
  await Promise.all(names.map(name => pods.until(name, isReady)));
  await api.remove(`${namespace}/pods?labelSelector=type%3DTesting`, { gracePeriodSeconds: 1 });
  await Promise.all(names.map(name => pods.untilGone(name)));
  expect(await numberOf('type=Testing')).toBe(0);
});

test.concurrent('a command runs in a pod, and its log is read, over WebSockets', async () => {
  await create('sockets', idle);
  await running('sockets');
  const query = new URLSearchParams({ stdout: '1', stderr: '1', container: 'main' });
  for (const word of ['echo', 'remote execution test']) query.append('command', word);
  const output = await messagesOf(`${path('sockets')}/exec?${query}`, 'channel.k8s.io');
  expect(output.filter(([channel]) => channel !== 1).every(({ length }) => length <= 1)).toBe(true);
  expect(Buffer.concat(output.map(message => message.subarray(1))).toString()).toBe('remote execution test\n');
  // A container runs before it has said anything.
  await eventually(async () => {
    const log = await messagesOf(`${path('sockets')}/log?container=main`, 'binary.k8s.io');
    expect(Buffer.concat(log).toString()).toBe('container is alive\n');
  }, patienceMs);
});

test.concurrent('a pod is of the class that its resources say', async () => {
  const amounts = { cpu: '100m', memory: '100Mi' };
  const classes: [string, object][] = [
    ['Guaranteed', { limits: amounts, requests: amounts }],
    ['Burstable', { requests: amounts }],
    ['BestEffort', {}],
  ];
  for (const [qosClass, resources] of classes) {
    const [container] = idle.containers;
    await create(`class-${qosClass.toLowerCase()}`, { ...idle, containers: [{ ...container!, resources }] });
    const { status } = await api.get<Pod>(path(`class-${qosClass.toLowerCase()}`));
    expect(status?.qosClass).toBe(qosClass);
  }
});

test.concurrent('a pod that always fails can be deleted', async () => {
  await create('failing', { containers: [{ name: 'main', image, command: ['false'] }] });
  await pods.until('failing', ({ status }) => (status?.containerStatuses?.[0]?.restartCount ?? 0) > 0);
  await api.remove(path('failing'));
  await pods.untilGone('failing');
});

test.concurrent('scheduler and kubelet tell in events what they do with a pod', async () => {
  await create('told', idle);
  await running('told');
  const eventsOf = async (source: string): Promise<Known<CoreEvent>[]> => {
    const fieldSelector = `involvedObject.kind=Pod,involvedObject.name=told,source=${source}`;
    return (await api.list<CoreEvent>(`${namespace}/events?${new URLSearchParams({ fieldSelector })}`)).items;
  };
  await eventually(async () => {
    expect((await eventsOf('default-scheduler')).map(({ reason }) => reason)).toContain('Scheduled');
    expect((await eventsOf('kubelet')).map(({ reason }) => reason)).toContain('Started');
  }, patienceMs);
});

describe('the generation of a pod', () => {
  /** The status has seen the object as it is. */
  const observed = (name: string, generation: number): Promise<Known<Pod>> =>
    pods.until(
      name,
      ({ metadata, status }) => metadata.generation === generation && status?.observedGeneration === generation,
    );

  test.concurrent('begins with one and grows with each change of what it asks for', async () => {
    const initContainers = [{ name: 'first', image, command: ['true'] }];
    await create('grows', { ...idle, initContainers });
    await running('grows');
    const changes: [by: number, change: (pod: Known<Pod>) => void][] = [
      [0, () => undefined],
      [1, ({ spec }) => spec!.tolerations!.push({ key: 'foo', operator: 'Equal', value: 'bar', effect: 'NoSchedule' })],
      [1, ({ spec }) => (spec!.activeDeadlineSeconds = 5000)],
      [1, ({ spec }) => (spec!.containers[0]!.image = 'naru.dev/web:v1')],
      [1, ({ spec }) => (spec!.initContainers![0]!.image = 'naru.dev/web:v1')],
      [0, ({ metadata }) => (metadata.annotations = { key: 'value' })],
      [0, ({ metadata }) => (metadata.generation = 1)],
    ];
    let expected = 1;
    for (const [by, change] of changes) {
      expected += by;
      const changed = await api.change<Pod>(path('grows'), change);
      expect(changed.metadata.generation).toBe(expected);
      await observed('grows', expected);
    }
  });

  test.concurrent('is one whatever was asked for, and grows when it is deleted gracefully', async () => {
    // Does not end by itself while it is looked at.
    await create('graceful', { ...idle, terminationGracePeriodSeconds: 600 }, { generation: 100 });
    expect((await running('graceful')).metadata.generation).toBe(1);
    await api.remove(`${path('graceful')}?gracePeriodSeconds=600`);
    expect((await api.get<Pod>(path('graceful'))).metadata.generation).toBe(2);
    await api.remove(path('graceful'), { gracePeriodSeconds: 0 });
  });

  test.concurrent('is seen by the status after 500 changes too', async () => {
    await create('often', { ...idle, activeDeadlineSeconds: 10_000 });
    await running('often');
    for (let change = 1; change < 500; change++)
      await api.patch(path('often'), { spec: { activeDeadlineSeconds: 10_000 - change } }, 'merge');
    expect((await observed('often', 500)).status?.observedGeneration).toBe(500);
  });

  test.concurrent('is seen by the status of a pod that its node rejects', async () => {
    const [node] = (await api.list('/api/v1/nodes')).items;
    await create('rejected', { ...idle, nodeName: node!.metadata.name, nodeSelector: { 'no-such-label': 'x' } });
    const { metadata, status } = await pods.until('rejected', pod => pod.status?.phase === 'Failed');
    expect([metadata.generation, status?.observedGeneration, status?.reason]).toEqual([1, 1, 'NodeAffinity']);
  });
});

describe('a subPathExpr of an annotation', () => {
  const fieldRef = { fieldPath: "metadata.annotations['mysubpath']" };
  const env = [
    { name: 'POD_NAME', value: 'foo' },
    { name: 'ANNOTATION', valueFrom: { fieldRef } },
  ];
  const volumeMounts = [
    { name: 'data', mountPath: '/below', subPathExpr: '$(ANNOTATION)/$(POD_NAME)' },
    { name: 'data', mountPath: '/whole' },
  ];
  const spec: PodSpec = {
    ...idle,
    volumes: [{ name: 'data', emptyDir: {} }],
    containers: [{ ...idle.containers[0]!, env, volumeMounts }],
  };

  test.concurrent('that is not there fails, until the annotation comes', async () => {
    await create('mended', spec, { annotations: { notmysubpath: 'mypath' } });
    const why = ({ status }: Pod) => status?.containerStatuses?.[0]?.state?.waiting?.reason;
    await pods.until('mended', pod => why(pod) === 'CreateContainerConfigError');
    await api.change<Pod>(path('mended'), ({ metadata }) => (metadata.annotations!['mysubpath'] = 'mypath'));
    await running('mended');
  });

  test.concurrent(
    'is where it was when the container started, and goes whatever the annotation says then',
    async () => {
      await create('written', spec, { annotations: { mysubpath: 'mypath' } });
      await running('written');
      await exec(path('written'), ['touch', '/whole/mypath/foo/test.log']);
      expect(await exec(path('written'), ['ls', '/below'])).toBe('test.log\n');
      await api.change<Pod>(path('written'), ({ metadata }) => (metadata.annotations!['mysubpath'] = 'mynewpath'));
      expect(isRunning(await api.get<Pod>(path('written')))).toBe(true);
      await api.remove(path('written'));
      await pods.untilGone('written');
    },
  );
});

test.concurrent('ephemeral containers join a running pod, by PATCH and by PUT', async () => {
  await create('joined', idle);
  await running('joined');
  const debugger1 = { name: 'debugger', image, command: ['sleep', '1000'] };
  await api.patch(`${path('joined')}/ephemeralcontainers`, { spec: { ephemeralContainers: [debugger1] } });
  const runs = (name: string) => (pod: Known<Pod>) =>
    pod.status?.ephemeralContainerStatuses?.some(status => status.name === name && status.state?.running);
  await pods.until('joined', runs('debugger'));
  expect(await exec(path('joined'), ['echo', 'polo'], 'debugger')).toBe('polo\n');
  await api.change<Pod>(
    path('joined'),
    ({ spec }) => spec!.ephemeralContainers!.push({ ...debugger1, name: 'debugger2' }),
    '/ephemeralcontainers',
  );
  const { spec } = await pods.until('joined', runs('debugger2'));
  expect(spec?.ephemeralContainers?.map(({ name }) => name)).toEqual(['debugger', 'debugger2']);
});
