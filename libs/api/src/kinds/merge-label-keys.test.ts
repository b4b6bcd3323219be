import { create, refusals } from '../testing/refusals';
import { podKind } from './pod';

const selecting = { topologyKey: 'zone', labelSelector: { matchLabels: { app: 'db' } }, matchLabelKeys: ['hash'] };
const term = { ...selecting, mismatchLabelKeys: ['tenant', 'unknown', 'constructor'] };
const preferred = { weight: 1, podAffinityTerm: term };
const spread = { ...selecting, maxSkew: 1, whenUnsatisfiable: 'DoNotSchedule' };
const pod = (spec: object): object => ({
  metadata: { name: 'db', labels: { app: 'db', hash: 'x1', tenant: 'red' } },
  spec: { containers: [{ name: 'db', image: 'db' }], ...spec },
});
const hash = { key: 'hash', operator: 'In', values: ['x1'] };
const merged = [hash, { key: 'tenant', operator: 'NotIn', values: ['red'] }];

test("a new pod's own values of its label keys are in its selectors", () => {
  const terms = {
    requiredDuringSchedulingIgnoredDuringExecution: [term],
    preferredDuringSchedulingIgnoredDuringExecution: [preferred],
  };
  const { spec } = create(
    podKind,
    pod({ affinity: { podAffinity: terms, podAntiAffinity: terms }, topologySpreadConstraints: [spread] }),
  );
  const labelSelector = { matchLabels: { app: 'db' }, matchExpressions: merged };
  for (const kind of ['podAffinity', 'podAntiAffinity'] as const)
    expect(spec?.affinity?.[kind]).toEqual({
      requiredDuringSchedulingIgnoredDuringExecution: [{ ...term, labelSelector }],
      preferredDuringSchedulingIgnoredDuringExecution: [{ ...preferred, podAffinityTerm: { ...term, labelSelector } }],
    });
  expect(spec?.topologySpreadConstraints?.[0]?.labelSelector).toEqual({ ...labelSelector, matchExpressions: [hash] });
});

test.each([
  ['matchLabels', { matchLabels: { hash: 'x1' } }],
  ['matchExpressions', { matchExpressions: [{ key: 'hash', operator: 'Exists' }] }],
])('a label key that is in %s too is refused', (_, labelSelector) => {
  const own = { ...selecting, labelSelector };
  const affinity = { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [own] } };
  const why = 'Invalid value: "hash": exists in both matchLabelKeys and labelSelector';
  expect(refusals(podKind, pod({ affinity, topologySpreadConstraints: [{ ...spread, ...own }] })).sort()).toEqual([
    `spec.affinity.podAffinity.requiredDuringSchedulingIgnoredDuringExecution[0][0]: ${why}`,
    `spec.topologySpreadConstraints[0][0]: ${why}`,
  ]);
});
