import { create, refusals } from '../testing/refusals';
import { flowSchemaKind, priorityLevelConfigurationKind } from './flow-control';

const metadata = { name: 'f' };
const rules = [
  {
    subjects: [{ kind: 'Group', group: { name: 'g' } }],
    resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'], namespaces: ['*'] }],
  },
];
const schema = { priorityLevelConfiguration: { name: 'l' }, rules };
const queuing = { handSize: 4, queues: 16, queueLengthLimit: 10 };
const level = { type: 'Limited', limited: { limitResponse: { type: 'Queue', queuing } } };

test('flow schemas and priority levels get the defaults of upstream', () => {
  expect(create(flowSchemaKind, { metadata, spec: schema }).spec?.matchingPrecedence).toBe(1000);
  const limited = { limitResponse: { type: 'Queue', queuing: {} } };
  expect(create(priorityLevelConfigurationKind, { metadata, spec: { type: 'Limited', limited } }).spec).toEqual({
    type: 'Limited',
    limited: {
      nominalConcurrencyShares: 30,
      lendablePercent: 0,
      limitResponse: { type: 'Queue', queuing: { handSize: 8, queues: 64, queueLengthLimit: 50 } },
    },
  });
  expect(refusals(flowSchemaKind, { metadata, spec: schema })).toEqual([]);
  expect(refusals(priorityLevelConfigurationKind, { metadata, spec: level })).toEqual([]);
});

test.each<[string, object, string[]]>([
  [
    'the precedence of exempt',
    { matchingPrecedence: 1 },
    ["spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have matchingPrecedence 1"],
  ],
  [
    'no level',
    { priorityLevelConfiguration: { name: '' } },
    ['spec.priorityLevelConfiguration.name: Required value: must reference a priority level'],
  ],
  [
    'rules for nobody about nothing',
    { rules: [{ subjects: [] }] },
    [
      'spec.rules[0].subjects: Required value: subjects must contain at least one value',
      'spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty',
    ],
  ],
  [
    'a subject of two kinds',
    { rules: [{ ...rules[0], subjects: [{ kind: 'User', user: { name: 'u' }, group: { name: 'g' } }] }] },
    ["spec.rules[0].subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'"],
  ],
])('a flow schema with %s is refused', (_, change, expected) => {
  expect(refusals(flowSchemaKind, { metadata, spec: { ...schema, ...change } })).toEqual(expected);
});

test.each<[string, object, string[]]>([
  [
    'exemption under another name',
    { type: 'Exempt', limited: undefined },
    ["spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'"],
  ],
  ['no limits', { limited: undefined }, ['spec.limited: Required value: must not be empty when type is Limited']],
  [
    'hands larger than the deck',
    { limited: { limitResponse: { type: 'Queue', queuing: { ...queuing, handSize: 20 } } } },
    ['spec.limited.limitResponse.queuing.handSize: Invalid value: 20: should not be greater than queues (16)'],
  ],
  [
    'hands that take too many bits',
    { limited: { limitResponse: { type: 'Queue', queuing: { ...queuing, queues: 1024, handSize: 10 } } } },
    [
      'spec.limited.limitResponse.queuing.handSize: Invalid value: 10: required entropy bits of deckSize 1024 and handSize 10 should not be greater than 60',
    ],
  ],
])('a priority level with %s is refused', (_, change, expected) => {
  expect(refusals(priorityLevelConfigurationKind, { metadata, spec: { ...level, ...change } })).toEqual(expected);
});
