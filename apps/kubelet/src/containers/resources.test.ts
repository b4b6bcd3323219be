import type { Container, Pod } from '@naru/api';
import { oomScoreAdj, qosClass } from './qos';
import { containerResources, cpuQuotaUs, cpuShares } from './resources';

type Resources = NonNullable<Container['resources']>;

function pod(...resources: Resources[]): Pod {
  return { spec: { containers: resources.map((each, index) => ({ name: `c${index}`, resources: each })) } };
}

const gi = 1024 ** 3;
const first = (of: Pod): Container => of.spec?.containers[0] as Container;

describe('qosClass', () => {
  it.each([
    [pod({}), 'BestEffort'],
    [pod({ requests: { cpu: '100m' } }), 'Burstable'],
    [pod({ limits: { cpu: '1', memory: '1Gi' } }), 'Guaranteed'],
    [pod({ limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '1000m', memory: '1024Mi' } }), 'Guaranteed'],
    [pod({ limits: { cpu: '1', memory: '1Gi' } }, {}), 'Burstable'],
    [pod({ limits: { cpu: '1', memory: '1Gi' }, requests: { cpu: '500m' } }), 'Burstable'],
  ])('of %j is %s', (input, expected) => expect(qosClass(input)).toBe(expected));
});

describe('oomScoreAdj', () => {
  it.each([
    [pod({}), 1000],
    [pod({ limits: { cpu: '1', memory: '1Gi' } }), -997],
    [pod({ requests: { memory: '1Gi' } }), 750],
    [pod({ requests: { cpu: '1' } }), 999],
    [pod({ requests: { memory: '4Gi' } }), 3],
  ])('of %j is %d', (input, expected) => expect(oomScoreAdj(input, first(input), 4 * gi)).toBe(expected));
});

describe('containerResources', () => {
  it('turns millicores into shares and quota', () => {
    expect([0, 1, 100, 1000, 10_000_000].map(cpuShares)).toEqual([2, 2, 102, 1024, 262_144]);
    expect([0, 1, 100, 1500].map(cpuQuotaUs)).toEqual([0, 1000, 10_000, 150_000]);
  });

  it('takes the limit as request when there is no request', () => {
    const input = pod({ limits: { cpu: '500m', memory: '64Mi' } });
    expect(containerResources(input, first(input), { memoryBytes: 4 * gi, hugePages: new Map() })).toMatchObject({
      cpuShares: 512n,
      cpuQuota: 50_000n,
      memoryLimitInBytes: 67_108_864n,
      memorySwapLimitInBytes: 67_108_864n,
      oomScoreAdj: -997n,
    });
  });

  it('lets a container use the huge pages that it asks for, and no others', () => {
    const input = pod({ limits: { 'hugepages-2Mi': '4Mi' } });
    const hugePages = new Map([
      [2 << 20, 8 << 20],
      [64 << 10, 1 << 20],
      [gi, 0],
    ]);
    const { hugepageLimits } = containerResources(input, first(input), { memoryBytes: 4 * gi, hugePages });
    expect(hugepageLimits).toEqual([
      { pageSize: '2MB', limit: 4n << 20n },
      { pageSize: '64KB', limit: 0n },
    ]);
  });
});
