import type { Container, Pod } from '@naru/api';
import { oomScoreAdj } from './qos';
import { containerResources, cpuQuotaUs, cpuShares } from './resources';

type Resources = NonNullable<Container['resources']>;

function pod(...resources: Resources[]): Pod {
  return { spec: { containers: resources.map((each, index) => ({ name: `c${index}`, resources: each })) } };
}

const gi = 1024 ** 3;
const first = (of: Pod): Container => of.spec?.containers[0] as Container;

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

  it('limits a container by its pod where it has no limit of its own', () => {
    const { spec } = pod({ limits: { cpu: '500m' }, requests: { memory: '256Mi' } }, {});
    const resources = { requests: { memory: '1280Mi' }, limits: { cpu: '2', memory: '2Gi' } };
    const input: Pod = { spec: { ...spec!, resources } };
    const [bounded, open] = input.spec!.containers.map(container =>
      containerResources(input, container, { memoryBytes: 4 * gi, hugePages: new Map() }),
    );
    // What the pod requests beyond its containers counts for all of them alike: 512 MiB each.
    expect(bounded).toMatchObject({ cpuQuota: 50_000n, memoryLimitInBytes: 2n << 30n, oomScoreAdj: 812n });
    expect(open).toMatchObject({ cpuQuota: 200_000n, memoryLimitInBytes: 2n << 30n, oomScoreAdj: 875n });
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
