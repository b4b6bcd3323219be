import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ReplicaSet, Stored } from '@naru/api';
import { createLab, makeNode } from '../fixtures';
import { plugins } from '../plugins/registry';
import { defaultConfiguration, loadConfiguration, type SchedulerConfiguration } from './scheduler-configuration';

let folder: string;
beforeAll(() => (folder = mkdtempSync(path.join(tmpdir(), 'naru-scheduler-'))));
afterAll(() => rmSync(folder, { recursive: true }));

const header = 'apiVersion: kubescheduler.config.k8s.io/v1\nkind: KubeSchedulerConfiguration\n';

function load(text: string): SchedulerConfiguration {
  const file = path.join(folder, 'config.yaml');
  writeFileSync(file, header + text);
  return loadConfiguration(file, plugins);
}

const scoring = (args: string): string => `
profiles:
- pluginConfig:
  - name: NodeResourcesFit
    args:
      scoringStrategy: ${args}
`;

test('without a file there is one profile with every plugin', () => {
  const { profiles, leaderElect, initialBackoffMs, maxBackoffMs } = defaultConfiguration(plugins);
  expect(profiles.map(({ schedulerName }) => schedulerName)).toEqual(['default-scheduler']);
  expect(profiles[0]?.points.filter.map(({ name }) => name)).toContain('NodeResourcesFit');
  expect({ leaderElect, initialBackoffMs, maxBackoffMs }).toEqual({
    leaderElect: true,
    initialBackoffMs: 1_000,
    maxBackoffMs: 10_000,
  });
});

test.each([
  ['profile: []', 'profile: unknown field'],
  ['percentageOfNodesToScore: 101', 'percentageOfNodesToScore: must be between 0 and 100'],
  ['podInitialBackoffSeconds: 5\npodMaxBackoffSeconds: 2', 'podMaxBackoffSeconds: must be greater than or equal to'],
  ['profiles: [{schedulerName: a}, {schedulerName: a}]', 'profiles[1].schedulerName: Duplicate value: "a"'],
  ['profiles: [{schedulerName: a}, {}]', 'profiles[1].schedulerName: Required value'],
  [
    'profiles: [{plugins: {score: {enabled: [{name: Nope}]}}}]',
    'profiles[0].plugins.score.enabled[0].name: there is no plugin "Nope"',
  ],
  [
    'profiles: [{plugins: {bind: {disabled: [{name: "*"}]}}}]',
    'profiles[0].plugins.bind: at least one bind plugin is needed',
  ],
  [
    'profiles: [{pluginConfig: [{name: NodeName, args: {a: 1}}]}]',
    'profiles[0].pluginConfig[0].args: plugin "NodeName" takes no arguments',
  ],
  [
    scoring('{type: Fullest}'),
    'profiles[0].pluginConfig[0].args.scoringStrategy.type: Unsupported value: "Fullest": supported values: LeastAllocated, MostAllocated, RequestedToCapacityRatio',
  ],
  [
    scoring(
      '{type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: [{utilization: 5}, {utilization: 5}]}}',
    ),
    'shape[1].utilization: utilization values must be sorted in increasing order',
  ],
  ['extenders: [{urlPrefix: "ftp://x"}]', 'extenders[0].urlPrefix: must be an http or https URL'],
  ['extenders: [{urlPrefix: "http://x", prioritizeVerb: p}]', 'extenders[0].weight: must have a positive weight'],
  ['extenders: [{urlPrefix: "http://x", httpTimeout: soon}]', 'extenders[0].httpTimeout: "soon" is no duration'],
])('a mistake names its field: %j', (text, problem) => {
  expect(() => load(text)).toThrow(problem);
});

test('weights, disabled plugins and their order are those of the profile', () => {
  const { profiles } = load(`
profiles:
- schedulerName: packer
  percentageOfNodesToScore: 70
  plugins:
    multiPoint:
      disabled: [{name: ImageLocality}]
      enabled: [{name: NodeAffinity, weight: 7}]
    score:
      disabled: [{name: PodTopologySpread}]
      enabled: [{name: InterPodAffinity, weight: 9}]
`);
  const [profile] = profiles;
  const score = profile?.points.score ?? [];
  expect(profile?.percentageOfNodesToScore).toBe(70);
  expect(score[0]).toEqual({ name: 'InterPodAffinity', weight: 9 });
  expect(score).toContainEqual({ name: 'NodeAffinity', weight: 7 });
  expect(score.map(({ name }) => name)).not.toContain('PodTopologySpread');
  expect(profile?.points.filter.map(({ name }) => name)).toContain('PodTopologySpread');
  expect(profile?.plugins.map(({ name }) => name)).not.toContain('ImageLocality');
});

/** Two nodes of 10 CPUs, "busy" with 6 of them taken. */
function labWith(text: string) {
  const nodes = [makeNode('idle', { cpu: '10', memory: '10Gi' }), makeNode('busy', { cpu: '10', memory: '10Gi' })];
  const lab = createLab(nodes, { profiles: load(text).profiles });
  lab.place('busy', { cpu: '6', memory: '6Gi' });
  return lab;
}

test('LeastAllocated fills the emptier node, MostAllocated the fuller one', () => {
  expect(labWith('').schedule({ cpu: '1', memory: '1Gi' })).toEqual({ node: 'idle' });
  expect(labWith(scoring('{type: MostAllocated}')).schedule({ cpu: '1', memory: '1Gi' })).toEqual({ node: 'busy' });
});

test('RequestedToCapacityRatio follows its shape', () => {
  const shape = (low: number, high: number): string =>
    scoring(
      `{type: RequestedToCapacityRatio, requestedToCapacityRatio: {shape: [{utilization: 0, score: ${low}}, {utilization: 100, score: ${high}}]}}`,
    );
  expect(labWith(shape(0, 10)).schedule({ cpu: '1', memory: '1Gi' })).toEqual({ node: 'busy' });
  expect(labWith(shape(10, 0)).schedule({ cpu: '1', memory: '1Gi' })).toEqual({ node: 'idle' });
});

test('each profile places the pods that ask for its name', () => {
  const lab = labWith(`
profiles:
- schedulerName: default-scheduler
- schedulerName: packer
  pluginConfig:
  - name: NodeResourcesFit
    args: {apiVersion: kubescheduler.config.k8s.io/v1, kind: NodeResourcesFitArgs, scoringStrategy: {type: MostAllocated}}
`);
  expect(lab.schedule({ cpu: '1', memory: '1Gi', schedulerName: 'packer' })).toEqual({ node: 'busy' });
  expect(lab.schedule({ cpu: '1', memory: '1Gi' })).toEqual({ node: 'idle' });
  expect(lab.scheduler.isResponsible({ spec: { containers: [], schedulerName: 'other' } })).toBe(false);
});

test('affinity added by the profile holds for every pod', () => {
  const lab = labWith(`
profiles:
- pluginConfig:
  - name: NodeAffinity
    args:
      addedAffinity:
        requiredDuringSchedulingIgnoredDuringExecution:
          nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [busy]}]}]
`);
  expect(lab.schedule({ cpu: '1' })).toEqual({ node: 'busy' });
  expect(lab.schedule({ cpu: '5' }).message).toContain(
    "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match scheduler-enforced node affinity.",
  );
});

test('ignored resources are not looked at', () => {
  const lab = labWith(`
profiles:
- pluginConfig:
  - name: NodeResourcesFit
    args: {ignoredResources: [example.com/fpga], ignoredResourceGroups: [licences.example.com]}
`);
  const wanting = (name: string) => ({
    containers: [{ name: 'main', image: 'x', resources: { requests: { [name]: '1' } } }],
  });
  expect(lab.schedule(wanting('example.com/fpga')).node).toBeDefined();
  expect(lab.schedule(wanting('licences.example.com/matlab')).node).toBeDefined();
  expect(lab.schedule(wanting('example.com/gpu')).message).toMatch(/2 Insufficient example.com\/gpu/);
});

test('default spread constraints of the profile may forbid', () => {
  const { profiles } = load(`
profiles:
- pluginConfig:
  - name: PodTopologySpread
    args:
      defaultingType: List
      defaultConstraints: [{topologyKey: kubernetes.io/hostname, maxSkew: 1, whenUnsatisfiable: DoNotSchedule}]
`);
  const none = { get: () => undefined, list: () => [], byIndex: () => [], size: 0 };
  const replicaSets = {
    ...none,
    get: () => ({ spec: { selector: { matchLabels: { app: 'web' } } } }) as unknown as Stored<ReplicaSet>,
  };
  const listers = { services: none, statefulSets: none, budgets: none, replicaSets };
  const lab = createLab([makeNode('a'), makeNode('full', { cpu: '1' })], { profiles, listers });
  const web = { labels: { app: 'web' }, owner: { kind: 'ReplicaSet', name: 'web' }, cpu: '1500m' };
  expect(lab.schedule(web)).toEqual({ node: 'a' });
  expect(lab.schedule(web).message).toContain(
    "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) didn't match pod topology spread constraints.",
  );
});
