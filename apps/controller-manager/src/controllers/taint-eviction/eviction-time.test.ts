import type { Taint, Toleration } from '@naru/api';
import { makePod } from '../../fixtures';
import { evictionTime } from './eviction-time';

const now = Date.parse('2026-01-01T00:01:00Z');
const added = Date.parse('2026-01-01T00:00:59Z');
const taint = (key: string, effect = 'NoExecute'): Taint => ({ key, effect, timeAdded: '2026-01-01T00:00:59Z' });
const tolerate = (key: string, tolerationSeconds?: number): Toleration => ({
  key,
  operator: 'Exists',
  effect: 'NoExecute',
  ...(tolerationSeconds === undefined ? {} : { tolerationSeconds }),
});

test.each([
  ['no taints', [], [], undefined],
  ['a NoSchedule taint', [taint('a', 'NoSchedule')], [], undefined],
  ['a taint that is not tolerated', [taint('a')], [], now],
  ['a taint tolerated for good', [taint('a')], [tolerate('a')], undefined],
  ['a taint tolerated for a while', [taint('a')], [tolerate('a', 5)], added + 5000],
  ['the shorter of two tolerations', [taint('a')], [tolerate('a', 9), tolerate('a', 3)], added + 3000],
  ['two taints, one tolerated', [taint('a'), taint('b')], [tolerate('a')], now],
  ['two taints, the shorter time', [taint('a'), taint('b')], [tolerate('a', 30), tolerate('b', 4)], added + 4000],
])('%s', (_what, taints, tolerations, expected) => {
  expect(evictionTime(makePod('a', { spec: { tolerations } }), taints, now)).toBe(expected);
});
