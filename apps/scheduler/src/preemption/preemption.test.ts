import { nodes, podDisruptionBudgets, pods, type Pod, type PodDisruptionBudget, type Stored } from '@naru/api';
import { MemoryObjects, eventually } from '@naru/testing';
import { createPodInfo, type PodInfo } from '../cache/pod-info';
import { createLab, makeNode, makePod, startScheduler, type PodInput } from '../fixtures';
import { defaultProfile } from '../framework/profile';
import { plugins } from '../plugins/registry';
import { Budgets } from './budgets';
import { chooseCandidate, findVictims, type Candidate } from './candidates';

const info = (input: PodInput, startTime = '2026-01-01T00:00:00Z'): PodInfo => {
  const pod = makePod(input);
  return createPodInfo({ ...pod, status: { startTime } });
};

const noBudgets = new Budgets(() => []);

function victimsOn(present: PodInput[], wanted: PodInput, budgets = noBudgets) {
  const lab = createLab([makeNode('a', { cpu: '4' })]);
  for (const input of present) lab.place('a', input);
  const { cache } = lab.scheduler;
  const framework = lab.scheduler.frameworkOf('default-scheduler')!;
  const pod = createPodInfo(makePod(wanted));
  const node = cache.getNode('a')!;
  const before = node.requested.cpu;
  const found = findVictims({ cache, trial: framework.prepareTrial(pod), budgets }, pod, node);
  expect(node.requested.cpu).toBe(before);
  return found && 'victims' in found
    ? { names: found.victims.map(({ pod }) => pod.metadata.name), violations: found.violations }
    : found;
}

test('no more pods than needed go, the least important ones', () => {
  const present = [
    { name: 'low', cpu: '1', priority: 1 },
    { name: 'mid', cpu: '1', priority: 5 },
    { name: 'small', cpu: '1', priority: 2 },
  ];
  expect(victimsOn(present, { cpu: '2', priority: 10 })).toEqual({ names: ['low'], violations: 0 });
  expect(victimsOn(present, { cpu: '3', priority: 10 })).toEqual({ names: ['small', 'low'], violations: 0 });
});

test('pods of the same priority are no victims', () => {
  expect(victimsOn([{ cpu: '4', priority: 10 }], { cpu: '1', priority: 10 })).toBeUndefined();
  expect(victimsOn([{ cpu: '1', priority: 1 }], { cpu: '8', priority: 10 })).toMatchObject({
    reasons: ['Insufficient cpu'],
  });
});

const awayFrom = (app: string): PodInput['affinity'] => ({
  podAntiAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: [
      { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app } } },
    ],
  },
});

test('of several pods only that one goes which the new one will not be beside', () => {
  const present = [
    { name: 'noisy', priority: 5, labels: { app: 'noisy' } },
    { name: 'quiet', priority: 1 },
  ];
  expect(victimsOn(present, { priority: 10, affinity: awayFrom('noisy') })).toEqual({
    names: ['noisy'],
    violations: 0,
  });
});

test('of several pods only that one goes which will not be beside the new one', () => {
  const present = [
    { name: 'shy', priority: 5, affinity: awayFrom('new') },
    { name: 'quiet', priority: 1 },
  ];
  expect(victimsOn(present, { priority: 10, labels: { app: 'new' } })).toEqual({ names: ['shy'], violations: 0 });
});

test('one trial answers for each node by itself, and heeds what a nominated pod brings', () => {
  const { scheduler } = createLab(['a', 'b'].map(name => makeNode(name)));
  const { cache, nominator } = scheduler;
  const [a, b] = [cache.getNode('a')!, cache.getNode('b')!];
  const trial = scheduler
    .frameworkOf('default-scheduler')!
    .prepareTrial(createPodInfo(makePod({ priority: 5, labels: { app: 'new' } })));
  const shy = createPodInfo(makePod({ name: 'shy', priority: 10, affinity: awayFrom('new') }));
  nominator.add(shy, 'a');
  const refused = { reasons: ["node(s) didn't satisfy existing pods anti-affinity rules"] };
  expect(trial(a)).toMatchObject(refused);
  expect(trial(b)).toBeUndefined();
  expect(trial(a)).toMatchObject(refused);
  nominator.remove(shy.uid);
  expect(trial(a)).toBeUndefined();
  expect(cache.podCount).toBe(0);
});

test('after the trials the counts by domain are as before', () => {
  const lab = createLab([makeNode('a', { cpu: '1' }), makeNode('b', { cpu: '1' })], {
    profiles: [defaultProfile(plugins)],
  });
  for (const node of ['a', 'b'])
    lab.place(node, { name: `on-${node}`, cpu: '1', priority: 1, labels: { app: 'noisy' } });
  const wanted: PodInput = { cpu: '1', priority: 10, affinity: awayFrom('noisy') };
  lab.schedule(wanted);
  expect(lab.scheduler.cache.nodeList().map(({ pods: present }) => [...present.keys()])).toEqual([
    ['uid-on-a'],
    ['uid-on-b'],
  ]);
  expect(lab.schedule({ affinity: awayFrom('noisy') }).message).toMatch(
    /2 node\(s\) didn't match pod anti-affinity rules/,
  );
});

const budget = (allowed: number): Stored<PodDisruptionBudget> => ({
  metadata: { name: 'b', namespace: 'default', uid: 'b', resourceVersion: '1' },
  spec: { selector: { matchLabels: { app: 'guarded' } } },
  status: { disruptionsAllowed: allowed, currentHealthy: 1, desiredHealthy: 1, expectedPods: 1 },
});

test('pods that a budget guards are spared while others can go', () => {
  const labels = { app: 'guarded' };
  const present = [
    { name: 'guarded', cpu: '2', priority: 1, labels },
    { name: 'free', cpu: '2', priority: 5 },
  ];
  expect(victimsOn(present, { cpu: '2', priority: 10 })?.valueOf()).toMatchObject({ names: ['guarded'] });
  const budgets = new Budgets(() => [budget(0)]);
  expect(victimsOn(present, { cpu: '2', priority: 10 }, budgets)).toEqual({ names: ['free'], violations: 0 });
  expect(victimsOn(present, { cpu: '4', priority: 10 }, budgets)).toMatchObject({ violations: 1 });
});

test('a budget allows as many disruptions as it says', () => {
  const all = ['x', 'y', 'z'].map(name => info({ name, labels: { app: 'guarded' } }));
  const { violating, allowed } = new Budgets(() => [budget(2)]).split(all);
  expect(allowed.map(({ pod }) => pod.metadata.name)).toEqual(['x', 'y']);
  expect(violating.map(({ pod }) => pod.metadata.name)).toEqual(['z']);
});

test.each<[string, Partial<Candidate>[], number]>([
  ['no violations', [{ violations: 1 }, {}], 1],
  ['the lowest highest priority', [{ victims: [info({ priority: 5 })] }, { victims: [info({ priority: 3 })] }], 1],
  [
    'the lowest sum',
    [{ victims: [info({ priority: 5 }), info({ priority: 4 })] }, { victims: [info({ priority: 5 })] }],
    1,
  ],
  [
    'the youngest victims',
    [{ victims: [info({ priority: 1 })] }, { victims: [info({ priority: 1 }, '2026-02-01T00:00:00Z')] }],
    1,
  ],
  ['the first of equals', [{}, {}], 0],
])('of several nodes the one is cleared with %s', (_what, candidates, best) => {
  const all = candidates.map((candidate, i) => ({ nodeName: `${i}`, victims: [], violations: 0, ...candidate }));
  expect(chooseCandidate(all)?.nodeName).toBe(`${best}`);
});

test('for a pod that asks for more than a node has, none of its pods is taken off for a trial', () => {
  const lab = createLab([makeNode('small', { cpu: '2' }), makeNode('large', { cpu: '8' })], {
    profiles: [defaultProfile(plugins)],
  });
  lab.place('small', { cpu: '2', priority: 1 });
  lab.place('large', { cpu: '8', priority: 10 });
  expect(lab.schedule({ cpu: '4', priority: 10 }).message).toBe(
    '0/2 nodes are available: 2 Insufficient cpu. preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.',
  );
});

test('a pod that never preempts says so', () => {
  const lab = createLab([makeNode('a', { cpu: '1' })], { profiles: [defaultProfile(plugins)] });
  lab.place('a', { cpu: '1', priority: 0 });
  const { message } = lab.schedule({ cpu: '1', priority: 10, preemptionPolicy: 'Never' });
  expect(message).toMatch(/preemption: not eligible due to preemptionPolicy=Never\.$/);
});

test('the room that is made is kept for the pod it was made for', () => {
  const lab = createLab([makeNode('a', { cpu: '2' })], { profiles: [defaultProfile(plugins)] });
  const { scheduler } = lab;
  const waiting = createPodInfo(makePod({ cpu: '2', priority: 10 }));
  scheduler.nominator.add(waiting, 'a');
  expect(lab.schedule({ cpu: '1', priority: 5 }).message).toMatch(/Insufficient cpu/);
  expect(lab.schedule({ cpu: '1', priority: 20 })).toEqual({ node: 'a' });
});

test('a more important pod takes the place of another, which is told why it goes', async () => {
  const api = new MemoryObjects();
  api.seed(nodes, makeNode('a', { cpu: '2' }));
  api.seed(podDisruptionBudgets, budget(0));
  api.seed(pods, makePod({ name: 'victim', cpu: '2', priority: 1, nodeName: 'a' }));
  const { scheduler, events, stop } = await startScheduler(api);
  const read = (name: string): Promise<Stored<Pod>> => api.get(pods, { namespace: 'default', name });
  api.seed(pods, makePod({ name: 'urgent', cpu: '2', priority: 100 }));
  await eventually(async () => {
    const victim = await read('victim');
    expect(victim.metadata.deletionTimestamp).toBeDefined();
    expect(victim.status?.conditions).toMatchObject([{ type: 'DisruptionTarget', reason: 'PreemptionByScheduler' }]);
    expect((await read('urgent')).status?.nominatedNodeName).toBe('a');
  });
  expect(events.map(({ reason }) => reason)).toContain('Preempted');
  await api.delete(pods, { namespace: 'default', name: 'victim' }, { gracePeriodSeconds: 0 });
  await eventually(async () => expect((await read('urgent')).spec?.nodeName).toBe('a'));
  await eventually(() => expect(scheduler.nominator.on('a')).toEqual([]));
  await stop();
});
