import type { Container, Pod } from '@naru/api';
import { eventually } from '@naru/testing';
import { api, exec, makeNamespace, patienceMs, type Known } from './api';
import { Following } from './following';
import { image } from './node-pod-cases';

// Pods whose containers are resized in place, and back, as upstream's tests do: side by side.
let namespace: string;
let pods: Following<Pod>;
type Resources = NonNullable<Container['resources']>;

const amounts = (cpu: string, memory: string): Resources => ({ requests: { cpu, memory }, limits: { cpu, memory } });
/** Each case: what the containers have at first, and what they are given then. */
const cases: { name: string; before: Resources[]; after: Resources[] }[] = [
  {
    name: 'a guaranteed pod of three containers grows',
    before: [amounts('20m', '35Mi'), amounts('22m', '37Mi'), amounts('24m', '39Mi')],
    after: [amounts('25m', '40Mi'), amounts('27m', '42Mi'), amounts('19m', '34Mi')],
  },
  {
    name: 'a guaranteed pod of three containers shrinks',
    before: [amounts('20m', '35Mi'), amounts('22m', '37Mi'), amounts('24m', '39Mi')],
    after: [amounts('25m', '40Mi'), amounts('17m', '32Mi'), amounts('19m', '34Mi')],
  },
  {
    name: 'a guaranteed pod of three containers is given more and less of this and that',
    before: [amounts('20m', '35Mi'), amounts('22m', '37Mi'), amounts('24m', '39Mi')],
    after: [amounts('25m', '35Mi'), amounts('17m', '42Mi'), amounts('29m', '44Mi')],
  },
  {
    name: 'a burstable pod is given amounts that weigh the same',
    before: [{ requests: { cpu: '2m' }, limits: { cpu: '10m' } }],
    after: [{ requests: { cpu: '1m' }, limits: { cpu: '5m' } }],
  },
];
/** What is added to a pod cannot be taken away again: there is no way back for this one. */
const additions = {
  before: [
    { requests: { cpu: '20m' } },
    { requests: { memory: '35Mi' } },
    { requests: { cpu: '20m', memory: '35Mi' } },
    { requests: { cpu: '20m' } },
    { requests: { memory: '35Mi' } },
  ],
  after: [
    { requests: { cpu: '25m' }, limits: { cpu: '35m' } },
    { requests: { memory: '30Mi' }, limits: { memory: '50Mi' } },
    { requests: { cpu: '20m', memory: '30Mi' } },
    { requests: { cpu: '15m', memory: '35Mi' } },
    { requests: { cpu: '20m', memory: '40Mi' } },
  ],
};

const containersOf = (list: Resources[]) => list.map((resources, index) => ({ name: `c${index + 1}`, resources }));
const create = (name: string, resources: Resources[]): Promise<Known<Pod>> =>
  api.create<Pod>(`${namespace}/pods`, {
    metadata: { name },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: containersOf(resources).map(container => ({ ...container, image, command: ['sleep', '1000'] })),
    },
  });

/** The status shows what was asked for, in the same containers; and the kernel holds the memory limits. */
async function given(name: string, expected: Resources[]): Promise<Known<Pod>> {
  const shows = ({ status }: Pod): boolean =>
    expected.every((resources, index) => {
      const found = status?.containerStatuses?.[index];
      return (
        found?.state?.running !== undefined &&
        JSON.stringify(sorted(found.resources)) === JSON.stringify(sorted(resources)) &&
        JSON.stringify(sorted({ requests: found.allocatedResources })) ===
          JSON.stringify(sorted({ requests: resources.requests }))
      );
    });
  const pod = await pods.until(name, found => shows(found) && !found.status?.conditions?.some(isResizing));
  expect(pod.status?.containerStatuses?.map(({ restartCount }) => restartCount)).toEqual(expected.map(() => 0));
  const file = '[ -e /sys/fs/cgroup/memory.max ] && cat /sys/fs/cgroup/memory.max';
  const read = ['sh', '-c', `${file} || cat /sys/fs/cgroup/memory/memory.limit_in_bytes`];
  for (const [index, { limits }] of expected.entries())
    if (limits?.['memory'])
      expect((await exec(`${namespace}/pods/${name}`, read, `c${index + 1}`)).trim()).toBe(
        String(parseInt(limits['memory']) * 1024 * 1024),
      );
  return pod;
}
const isResizing = ({ type }: { type: string }): boolean => type.startsWith('PodResize');
function sorted(resources: Partial<Resources> | undefined): unknown {
  const of = (list: object = {}) => Object.entries(list).sort(([a], [b]) => (a < b ? -1 : 1));
  return [of(resources?.requests), of(resources?.limits)];
}
const resize = (name: string, resources: Resources[]): Promise<Known<Pod>> =>
  api.patch<Pod>(`${namespace}/pods/${name}/resize`, { spec: { containers: containersOf(resources) } });

beforeAll(async () => {
  namespace = await makeNamespace('node-resize');
  pods = await Following.start(`${namespace}/pods`);
});
afterAll(async () => {
  pods.stop();
  await api.remove(namespace);
});

test.concurrent.each(cases.map((resizeCase, index) => ({ ...resizeCase, index })))(
  '$name, and is as it was',
  async ({ before, after, index }) => {
    const name = `resized-${index}`;
    await create(name, before);
    const { status } = await given(name, before);
    await resize(name, after);
    await given(name, after);
    await resize(name, before);
    expect((await given(name, before)).status?.qosClass).toBe(status?.qosClass);
  },
);

test.concurrent('containers get requests and limits that they did not have', async () => {
  await create('added', additions.before);
  await given('added', additions.before);
  await resize('added', additions.after);
  await given('added', additions.after);
});

test.concurrent('a pod is resized by PUT too, and read the same by both paths', async () => {
  await create('replaced', [amounts('20m', '35Mi')]);
  await given('replaced', [amounts('20m', '35Mi')]);
  const path = `${namespace}/pods/replaced`;
  await api.change<Pod>(path, ({ spec }) => (spec!.containers[0]!.resources = amounts('25m', '40Mi')), '/resize');
  await given('replaced', [amounts('25m', '40Mi')]);
  // The kubelet may write between the two.
  await eventually(
    async () => expect(await api.get<Pod>(`${path}/resize`)).toEqual(await api.get<Pod>(path)),
    patienceMs,
  );
});

test.concurrent('what a pod has as a whole is resized, and its containers go on', async () => {
  const [before, after] = [amounts('30m', '40Mi'), amounts('60m', '80Mi')];
  const path = `${namespace}/pods/whole`;
  await api.create<Pod>(`${namespace}/pods`, {
    metadata: { name: 'whole' },
    spec: {
      terminationGracePeriodSeconds: 0,
      resources: before,
      containers: ['a', 'b'].map(name => ({ name, image, command: ['sleep', '1000'] })),
    },
  });
  const shows = (resources: Resources) => (pod: Pod) =>
    JSON.stringify(sorted(pod.status?.resources)) === JSON.stringify(sorted(resources)) &&
    pod.status?.containerStatuses?.every(({ state }) => state?.running) === true &&
    !pod.status.conditions?.some(isResizing);
  const first = await pods.until('whole', shows(before));
  expect(first.status?.qosClass).toBe('Guaranteed');
  await expect(api.patch(path, { spec: { resources: after } })).rejects.toThrow(/pod updates may not change fields/);
  await api.patch(`${path}/resize`, { spec: { resources: after } });
  const { status } = await pods.until('whole', shows(after));
  expect(status?.allocatedResources).toEqual(after.requests);
  expect(status?.containerStatuses?.map(({ restartCount }) => restartCount)).toEqual([0, 0]);
});
