import { create, refusals } from '../testing/refusals';
import type { ValidatingWebhookConfiguration } from '../types';
import {
  mutatingWebhookConfigurationKind as mutating,
  validatingWebhookConfigurationKind as validating,
} from './webhook-configuration';

const hook = {
  name: 'check.example.com',
  clientConfig: { service: { namespace: 'default', name: 'check' } },
  rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
  sideEffects: 'None',
  admissionReviewVersions: ['v1'],
};
const configuration = (...webhooks: object[]) => ({ metadata: { name: 'check' }, webhooks });

test('a webhook gets the defaults of upstream', () => {
  const { webhooks } = create(mutating, configuration(hook));
  expect(webhooks?.[0]).toMatchObject({
    failurePolicy: 'Fail',
    matchPolicy: 'Equivalent',
    namespaceSelector: {},
    objectSelector: {},
    reinvocationPolicy: 'Never',
    timeoutSeconds: 10,
    clientConfig: { service: { port: 443 } },
    rules: [{ scope: '*' }],
  });
  expect(refusals(mutating, configuration(hook))).toEqual([]);
  expect(create(validating, configuration(hook)).webhooks?.[0]).not.toHaveProperty('reinvocationPolicy');
});

test('a change of the webhooks raises the generation of their configuration', () => {
  const old = create(validating, configuration(hook));
  const next: ValidatingWebhookConfiguration = structuredClone(old);
  validating.strategy.prepareForUpdate(next, old);
  expect(next.metadata?.generation).toBe(1);
  next.webhooks![0]!.timeoutSeconds = 5;
  validating.strategy.prepareForUpdate(next, old);
  expect(next.metadata?.generation).toBe(2);
});

test.each<[string, object, string[]]>([
  [
    'a short name',
    { name: 'check' },
    ['webhooks[0].name: Invalid value: "check": should be a domain with at least three segments separated by dots'],
  ],
  [
    'two ways to be asked',
    { clientConfig: { url: 'https://a', service: { name: 'a', namespace: 'b' } } },
    ['webhooks[0].clientConfig: Required value: exactly one of url or service is required'],
  ],
  [
    'a plain URL',
    { clientConfig: { url: 'http://a' } },
    [
      'webhooks[0].clientConfig.url: Invalid value: "http": \'https\' is the only allowed URL scheme; desired format: https://host[/path]',
    ],
  ],
  [
    'side effects',
    { sideEffects: 'Some' },
    ['webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'],
  ],
  [
    'too much patience',
    { timeoutSeconds: 31 },
    ['webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds'],
  ],
  [
    'reviews that nobody speaks',
    { admissionReviewVersions: ['v7'] },
    ['webhooks[0].admissionReviewVersions: Invalid value: ["v7"]: must include at least one of v1, v1beta1'],
  ],
  [
    'everything and more',
    { rules: [{ operations: ['*', 'CREATE'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*', 'pods'] }] },
    [
      'webhooks[0].rules[0].operations: Invalid value: ["*","CREATE"]: if \'*\' is present, must not specify other operations',
      'webhooks[0].rules[0].resources: Invalid value: ["*","pods"]: if \'*\' is present, must not specify other resources without subresources',
    ],
  ],
  [
    'a condition without a name',
    { matchConditions: [{ name: '', expression: 'true' }] },
    ['webhooks[0].matchConditions[0].name: Required value'],
  ],
])('a webhook with %s is refused', (_, change, expected) => {
  expect(refusals(validating, configuration({ ...hook, ...change }))).toEqual(expected);
});

test('two webhooks of one name are refused', () => {
  expect(refusals(validating, configuration(hook, hook))).toEqual([
    'webhooks[1].name: Duplicate value: "check.example.com"',
  ]);
});
