import { defaultPod } from '../../defaults/pod-spec';
import { podRequests, podRequestsNonZero } from '../../pod-resources';
import type { Container, PodSpec } from '../../types';
import { describeFieldError, type FieldError } from '../field-error';
import { validatePodLevelResources } from './pod-level-resources';
import { validateResize } from './pod-resize';

type Resources = NonNullable<Container['resources']>;

const spec = (resources: Resources, ...containers: Resources[]): PodSpec => ({
  resources,
  containers: containers.map((each, index) => ({ name: `c${index}`, resources: each })),
});
const shown = (errors: readonly FieldError[]): string[] =>
  errors.map(error => `${error.field}: ${describeFieldError(error)}`);

test.each<[string, PodSpec, string[]]>([
  ['nothing of its own', { containers: [] }, []],
  ['enough', spec({ requests: { cpu: '1' }, limits: { cpu: '2', memory: '1Gi' } }, { limits: { cpu: '2' } }), []],
  [
    'what only containers may ask for',
    spec({ requests: { 'ephemeral-storage': '1Gi' } }),
    [
      'spec.resources.requests[ephemeral-storage]: Unsupported value: "ephemeral-storage": supported values: "cpu", "hugepages-", "memory"',
    ],
  ],
  [
    'claims',
    spec({ claims: [{ name: 'a' }] }),
    ['spec.resources.claims: Forbidden: claims cannot be set for Resources at pod-level'],
  ],
  [
    'less than its containers request together',
    spec({ requests: { cpu: '100m' } }, { requests: { cpu: '60m' } }, { requests: { cpu: '50m', memory: '1Gi' } }),
    [
      'spec.resources.requests[cpu]: Invalid value: "100m": must be greater than or equal to aggregate container requests of 110m',
    ],
  ],
  [
    'less than a container is allowed',
    spec({ limits: { memory: '1Gi' } }, {}, { limits: { memory: '2Gi' } }),
    [
      'spec.containers[1].resources.limits[memory]: Invalid value: "2Gi": must be less than or equal to pod limits of 1Gi',
    ],
  ],
  [
    'more requests than limits',
    spec({ requests: { cpu: '2' }, limits: { cpu: '1' } }),
    ['spec.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
  ],
])('of a pod that asks as a whole for %s the problems are told', (_name, given, expected) => {
  const errors: FieldError[] = [];
  validatePodLevelResources(given, 'spec', errors);
  expect(shown(errors)).toEqual(expected);
});

test('a pod with limits as a whole requests what its containers do, or else up to its limits', () => {
  const given = spec(
    { limits: { cpu: '2', memory: '1Gi' } },
    { requests: { cpu: '100m' }, limits: { 'hugepages-2Mi': '4Mi' } },
    { requests: { cpu: '200m' } },
  );
  defaultPod(given);
  expect(given.resources).toEqual({
    limits: { cpu: '2', memory: '1Gi', 'hugepages-2Mi': '4Mi' },
    requests: { cpu: '300m', memory: '1Gi', 'hugepages-2Mi': '4Mi' },
  });
  const withoutLimits = spec({ requests: { cpu: '1' } }, { requests: { memory: '1Gi' } });
  defaultPod(withoutLimits);
  expect(withoutLimits.resources).toEqual({ requests: { cpu: '1' } });
});

test('what a pod requests as a whole is what counts for its node', () => {
  const pod = { spec: spec({ requests: { cpu: '1' } }, { requests: { cpu: '100m', memory: '1Ki' } }, {}) };
  expect([...podRequests({ spec: { ...pod.spec, overhead: { cpu: '50m' } } })]).toEqual([
    ['cpu', 1050],
    ['memory', 1024],
  ]);
  expect(podRequestsNonZero(pod).get('cpu')).toBe(1000);
  expect(podRequestsNonZero(pod).get('memory')).toBe(1024 + 200 * 1024 * 1024);
});

test('a resize of a pod as a whole changes processor time and memory, adds to them and removes nothing', () => {
  const problems = (before: Resources, after: Resources): string[] => {
    const errors: FieldError[] = [];
    const own = { requests: { cpu: '50m' } };
    validateResize({ spec: spec(after, own) }, { spec: spec(before, own) }, errors);
    return shown(errors);
  };
  const before = { requests: { cpu: '100m' } };
  expect(problems(before, { requests: { cpu: '200m' }, limits: { cpu: '1' } })).toEqual([]);
  expect(problems(before, { requests: { cpu: '100m', memory: '1Gi' } })).toEqual([]);
  expect(problems(before, {})).toEqual([
    'spec.resources.requests[cpu]: Forbidden: resource requests cannot be removed',
  ]);
  expect(problems(before, { requests: { cpu: '10m' } })).toEqual([
    'spec.resources.requests[cpu]: Invalid value: "10m": must be greater than or equal to aggregate container requests of 50m',
  ]);
  expect(
    problems(before, { requests: { cpu: '100m', 'hugepages-2Mi': '2Mi' }, limits: { 'hugepages-2Mi': '2Mi' } }),
  ).toEqual([
    'spec.resources.requests: Forbidden: only cpu and memory resources are mutable',
    'spec.resources.limits: Forbidden: only cpu and memory resources are mutable',
  ]);
});
