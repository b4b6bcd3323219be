import type { Container, CoreEvent, Pod, PodSpec, RuntimeClass } from '@naru/api';
import { eventually } from '@naru/testing';
import { api, makeNamespace, patienceMs, type Known } from './api';
import { Following } from './following';
import { Heard } from './heard';
import { image } from './node-pod-cases';
import { probeCases } from './node-probe-cases';

// Hooks, probes and runtime classes, as upstream's tests have them: everything runs side by side.
let namespace: string;
let pods: Following<Pod>;
let heard: Heard;
const path = (name: string): string => `${namespace}/pods/${name}`;
const create = (name: string, spec: PodSpec): Promise<Known<Pod>> =>
  api.create<Pod>(`${namespace}/pods`, { metadata: { name }, spec });
const status = ({ status }: Pod) => status?.containerStatuses?.[0];
const isRunning = (pod: Pod): boolean => status(pod)?.state?.running !== undefined;
const eventsOf = async (name: string, reason: string): Promise<Known<CoreEvent>[]> => {
  const fieldSelector = `involvedObject.name=${name},reason=${reason}`;
  return (await api.list<CoreEvent>(`${namespace}/events?${new URLSearchParams({ fieldSelector })}`)).items;
};
const ends = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 1 & wait; done'];
type Lifecycle = NonNullable<Container['lifecycle']>;
const hooked = (lifecycle: Lifecycle): PodSpec => ({ containers: [{ name: 'main', image, command: ends, lifecycle }] });

beforeAll(async () => {
  heard = await Heard.start();
  namespace = await makeNamespace('node-lifecycle');
  pods = await Following.start(`${namespace}/pods`);
  await Promise.all(probeCases.map(({ spec }, index) => create(`probed-${index}`, spec)));
});
afterAll(async () => {
  heard.close();
  pods.stop();
  await api.remove(namespace);
});

/** The handlers of a hook, each of which tells the server what it was asked for. */
const handlers = {
  exec: (word: string) => ({
    exec: { command: ['wget', '-q', '-O', '-', `http://${heard.host}:${heard.httpPort}/${word}`] },
  }),
  httpGet: (word: string) => ({ httpGet: { host: heard.host, port: heard.httpPort, path: `/${word}` } }),
  https: (word: string) => ({
    httpGet: { scheme: 'HTTPS', host: heard.host, port: heard.httpsPort, path: `/${word}` },
  }),
};

test.concurrent.each(['exec', 'httpGet', 'https'] as const)('a postStart hook by %s is run', async kind => {
  const name = `post-start-${kind.toLowerCase()}`;
  await create(name, hooked({ postStart: handlers[kind](name) }));
  await heard.until(kind === 'https' ? `tls:/${name}` : `/${name}`);
  await pods.until(name, isRunning);
});

test.concurrent.each(['exec', 'httpGet', 'https'] as const)(
  'a preStop hook by %s is run before its pod is gone, not earlier',
  async kind => {
    const name = `pre-stop-${kind.toLowerCase()}`;
    const told = kind === 'https' ? `tls:/${name}` : `/${name}`;
    await create(name, hooked({ preStop: handlers[kind](name) }));
    await pods.until(name, isRunning);
    expect(heard.has(told)).toBe(false);
    await api.remove(path(name), { gracePeriodSeconds: 60 });
    await pods.untilGone(name);
    expect(heard.has(told)).toBe(true);
  },
);

test.concurrent(
  'a preStop hook that sleeps holds the end back for so long, but no longer than the grace period',
  async () => {
    await Promise.all(
      ['sleeps', 'sleeps-long'].map(name =>
        create(name, {
          ...hooked({ preStop: { sleep: { seconds: name === 'sleeps' ? 3 : 1000 } } }),
          terminationGracePeriodSeconds: 1000,
        }),
      ),
    );
    await Promise.all(['sleeps', 'sleeps-long'].map(name => pods.until(name, isRunning)));
    const began = Date.now();
    await Promise.all([
      api.remove(path('sleeps'), { gracePeriodSeconds: 60 }),
      api.remove(path('sleeps-long'), { gracePeriodSeconds: 1 }),
    ]);
    await Promise.all(['sleeps', 'sleeps-long'].map(name => pods.untilGone(name)));
    expect(Date.now() - began).toBeGreaterThanOrEqual(3000);
  },
);

test.concurrent.each(probeCases.map((probeCase, index) => ({ ...probeCase, index })))(
  'a container $name',
  async ({ index, restarts, ready, probes, check }) => {
    const name = `probed-${index}`;
    if (restarts) await pods.until(name, pod => (status(pod)?.restartCount ?? 0) >= restarts);
    if (ready) await pods.until(name, pod => status(pod)?.ready);
    if (probes) {
      const { spec } = await pods.until(name, isRunning);
      await eventually(
        async () =>
          expect(await probesOf(spec?.nodeName ?? '', name, probes.type, probes.result)).toBeGreaterThanOrEqual(
            probes.count,
          ),
        patienceMs,
        500,
      );
    }
    const pod = await api.get<Pod>(path(name));
    if (!restarts) expect(status(pod)).toMatchObject({ restartCount: 0, ready: ready === true });
    // Never fewer than before.
    const counts = pods.seen
      .filter(({ object }) => object.metadata.name === name)
      .map(({ object }) => status(object)?.restartCount ?? 0);
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
    if (restarts)
      await eventually(async () => {
        expect((await eventsOf(name, 'Unhealthy')).length).toBeGreaterThan(0);
        expect((await eventsOf(name, 'Killing')).length).toBeGreaterThan(0);
      }, patienceMs);
    check?.(pod);
  },
);

/** How often the kubelet has probed, by its own metrics. */
async function probesOf(node: string, pod: string, type: string, result: string): Promise<number> {
  const text = await api.text(`/api/v1/nodes/${node}/proxy/metrics/probes`);
  const line = text
    .split('\n')
    .find(
      line =>
        line.startsWith('prober_probe_total{') &&
        [`pod="${pod}"`, `probe_type="${type}"`, `result="${result}"`].every(label => line.includes(label)),
    );
  return Number(line?.split(' ').at(-1) ?? 0);
}

describe('a pod of a RuntimeClass', () => {
  const classes = '/apis/node.k8s.io/v1/runtimeclasses';
  const made: string[] = [];
  const makeClass = async (name: string, rest: object): Promise<string> => {
    made.push(name);
    await api.create<RuntimeClass>(classes, { metadata: { name }, handler: 'runc', ...rest });
    return name;
  };
  const spec = (runtimeClassName: string): PodSpec => ({
    runtimeClassName,
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image, command: ['sleep', '1000'] }],
  });
  afterAll(() => Promise.all(made.map(name => api.remove(`${classes}/${name}`).catch(() => undefined))));

  test.concurrent('has no overhead when the class has none', async () => {
    await create('class-plain', spec(await makeClass('conformance-plain', {})));
    expect((await pods.until('class-plain', pod => pod.spec?.nodeName)).spec?.overhead).toBeUndefined();
    await pods.until('class-plain', isRunning);
  });

  test.concurrent('has the overhead of the class', async () => {
    const overhead = { podFixed: { cpu: '10m', memory: '1Mi' } };
    await create('class-overhead', spec(await makeClass('conformance-overhead', { overhead })));
    const pod = await pods.until('class-overhead', ({ spec }) => spec?.nodeName);
    expect(pod.spec?.overhead).toEqual(overhead.podFixed);
  });

  test.concurrent('is refused when there is no such class, and when it has been deleted', async () => {
    const refusal = {
      reason: 'Forbidden',
      message: expect.stringContaining('RuntimeClass "conformance-none" not found'),
    };
    await expect(create('class-none', spec('conformance-none'))).rejects.toMatchObject(refusal);
    const name = await makeClass('conformance-deleted', {});
    await api.remove(`${classes}/${name}`);
    await expect(api.get(`${classes}/${name}`)).rejects.toMatchObject({ reason: 'NotFound' });
    await eventually(() => expect(create('class-deleted', spec(name))).rejects.toMatchObject({ reason: 'Forbidden' }));
  });

  test.concurrent('stays pending when its node does not know the handler, and says so', async () => {
    await create('class-unknown', spec(await makeClass('conformance-unknown', { handler: 'no-such-handler' })));
    await eventually(async () => {
      const [event] = await eventsOf('class-unknown', 'FailedCreatePodSandBox');
      expect(event?.message).toContain('no-such-handler');
    }, patienceMs);
    expect((await api.get<Pod>(path('class-unknown'))).status?.phase).toBe('Pending');
  });
});
