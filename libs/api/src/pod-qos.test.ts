import { qosClassOf } from './pod-qos';
import type { Pod } from './types';

const pod = (...resources: object[]): Pod => ({
  spec: { containers: resources.map((r, i) => ({ name: `c${i}`, resources: r })) },
});
const full = { cpu: '1', memory: '1Gi' };

test.each([
  ['nothing', pod({}), 'BestEffort'],
  ['zeroes only', pod({ requests: { cpu: '0' } }), 'BestEffort'],
  ['a request', pod({ requests: { cpu: '1' } }), 'Burstable'],
  ['equal limits and requests', pod({ requests: full, limits: { cpu: '1000m', memory: '1024Mi' } }), 'Guaranteed'],
  ['limits alone', pod({ limits: full }), 'Guaranteed'],
  ['one container without limits', pod({ requests: full, limits: full }, {}), 'Burstable'],
  ['limits above requests', pod({ requests: full, limits: { cpu: '2', memory: '1Gi' } }), 'Burstable'],
  [
    'equal amounts as a whole',
    { spec: { ...pod({}).spec!, resources: { requests: full, limits: full } } },
    'Guaranteed',
  ],
])('a pod with %s', (_name, given, expected) => {
  expect(qosClassOf(given)).toBe(expected);
});
