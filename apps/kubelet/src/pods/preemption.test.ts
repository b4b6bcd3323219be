import type { Pod } from '@naru/api';
import { podsToPreempt } from './preemption';

const pod = (
  name: string,
  resources: { requests?: Record<string, string>; limits?: Record<string, string> },
  priority = 0,
): Pod => ({
  metadata: { name },
  spec: { priority, containers: [{ name: 'main', resources }] },
});
const burstable = (name: string, cpu: string, memory = '1Mi'): Pod => pod(name, { requests: { cpu, memory } });
const guaranteed = (name: string, cpu: string): Pod =>
  pod(name, { requests: { cpu, memory: '1Mi' }, limits: { cpu, memory: '1Mi' } });
const critical = pod('critical', {}, 2_000_000_000);
const preempted = (others: Pod[], ...shortages: [name: string, amount: number][]): unknown =>
  podsToPreempt(
    critical,
    others,
    shortages.map(([name, amount]) => ({ name, amount })),
  ).map(({ metadata }) => metadata?.name);

describe('a critical pod', () => {
  it('pushes out as few pods as will do, of those that will do the smallest', () => {
    const others = [
      burstable('a', '100m'),
      burstable('b', '300m'),
      burstable('c', '500m'),
      burstable('d', '300m', '2Mi'),
    ];
    expect(preempted(others, ['cpu', 300])).toEqual(['b']);
    expect(preempted(others, ['cpu', 400])).toEqual(['c']);
    expect(preempted(others, ['cpu', 700])).toEqual(['c', 'b']);
  });

  it('spares Guaranteed pods where others are enough, and takes pods without requests only for their number', () => {
    const others = [guaranteed('g', '1'), burstable('b', '1'), pod('n', {})];
    expect(preempted(others, ['cpu', 500])).toEqual(['b']);
    expect(preempted(others, ['cpu', 1_500])).toEqual(['b', 'g']);
    expect(preempted(others, ['pods', 1])).toEqual(['n']);
  });

  it('never pushes out what is as critical, and says what it could not find', () => {
    const equal = pod('equal', { requests: { cpu: '1' } }, 2_000_000_000);
    expect(() => preempted([equal, burstable('a', '100m')], ['cpu', 250])).toThrow(
      'preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: [(res: cpu, q: 150), ]',
    );
  });
});
