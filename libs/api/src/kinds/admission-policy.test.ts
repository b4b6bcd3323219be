import { create, refusals } from '../testing/refusals';
import {
  mutatingAdmissionPolicyKind as mutating,
  mutatingAdmissionPolicyBindingKind as mutatingBinding,
  validatingAdmissionPolicyKind as validating,
  validatingAdmissionPolicyBindingKind as binding,
} from './admission-policy';

const metadata = { name: 'policy.example.com' };
const matchConstraints = {
  resourceRules: [{ operations: ['CREATE'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments'] }],
};
const policy = { matchConstraints, validations: [{ expression: 'object.spec.replicas < 5' }] };
const mutation = { patchType: 'JSONPatch', jsonPatch: { expression: '[]' } };

test('a policy and its binding get the defaults of upstream', () => {
  const defaults = { matchPolicy: 'Equivalent', namespaceSelector: {}, objectSelector: {} };
  const { spec } = create(validating, { metadata, spec: policy });
  expect(spec).toMatchObject({
    failurePolicy: 'Fail',
    matchConstraints: { ...defaults, resourceRules: [{ scope: '*' }] },
  });
  const bound = { policyName: 'p', validationActions: ['Deny'], matchResources: {} };
  expect(create(binding, { metadata, spec: bound }).spec.matchResources).toEqual(defaults);
  expect(refusals(validating, { metadata, spec: policy })).toEqual([]);
  expect(refusals(binding, { metadata, spec: bound })).toEqual([]);
});

test.each<[string, object, string[]]>([
  ['nothing to match', { matchConstraints: {} }, ['spec.matchConstraints.resourceRules: Required value']],
  [
    'nothing to check',
    { validations: [] },
    [
      'spec.validations: Required value: validations or auditAnnotations must contain at least one item',
      'spec.auditAnnotations: Required value: validations or auditAnnotations must contain at least one item',
    ],
  ],
  [
    'an unknown reason',
    { validations: [{ expression: 'true', reason: 'Whim' }] },
    [
      'spec.validations[0].reason: Unsupported value: "Whim": supported values: "Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"',
    ],
  ],
  [
    'a variable that is a word of the language',
    { variables: [{ name: 'in', expression: '1' }] },
    ['spec.variables[0].name: Invalid value: "in": name is not a valid CEL identifier'],
  ],
  [
    'half a kind of parameters',
    { paramKind: { apiVersion: 'a/b/c', kind: '' } },
    [
      'spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
      'spec.paramKind.kind: Required value',
    ],
  ],
])('a validating policy with %s is refused', (_, change, expected) => {
  expect(refusals(validating, { metadata, spec: { ...policy, ...change } })).toEqual(expected);
});

test('a mutating policy says what it changes, and how', () => {
  const spec = { matchConstraints, mutations: [mutation], reinvocationPolicy: 'Never' };
  expect(refusals(mutating, { metadata, spec })).toEqual([]);
  expect(refusals(mutating, { metadata, spec: { matchConstraints } })).toEqual([
    'spec.mutations: Required value: mutations must contain at least one item',
    'spec.reinvocationPolicy: Required value',
  ]);
  const mixed = { ...mutation, patchType: 'ApplyConfiguration' };
  expect(refusals(mutating, { metadata, spec: { ...spec, mutations: [mixed] } })).toEqual([
    'spec.mutations[0].applyConfiguration: Required value: must be specified when patchType is ApplyConfiguration',
    'spec.mutations[0].jsonPatch: Invalid value: "{}": must not be specified when patchType is ApplyConfiguration',
  ]);
});

test.each<[string, object, string[]]>([
  ['no policy', { policyName: '' }, ['spec.policyName: Required value']],
  [
    'no action',
    { validationActions: [] },
    ['spec.validationActions: Required value: at least one validation action is required'],
  ],
  [
    'two answers to one fault',
    { validationActions: ['Deny', 'Warn'] },
    [
      'spec.validationActions: Invalid value: ["Deny","Warn"]: must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)',
    ],
  ],
  [
    'parameters that are not named',
    { paramRef: { parameterNotFoundAction: 'Deny' } },
    ['spec.paramRef: Required value: one of name or selector must be specified'],
  ],
  [
    'parameters that are named twice',
    { paramRef: { name: 'a', selector: {}, parameterNotFoundAction: 'Deny' } },
    [
      'spec.paramRef.name: Forbidden: name and selector are mutually exclusive',
      'spec.paramRef.selector: Forbidden: name and selector are mutually exclusive',
    ],
  ],
])('a binding with %s is refused', (_, change, expected) => {
  const spec = { policyName: 'p', validationActions: ['Deny'], ...change };
  expect(refusals(binding, { metadata, spec })).toEqual(expected);
});

test('a mutating binding needs no actions', () => {
  expect(refusals(mutatingBinding, { metadata, spec: { policyName: 'p' } })).toEqual([]);
});
