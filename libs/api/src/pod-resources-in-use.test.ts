import { podRequests } from './pod-resources';
import { withResourcesInUse } from './pod-resources-in-use';
import { podQuantities } from './quota/quantities';
import type { Pod } from './types';

type Amounts = Record<string, string>;

/** A pod that asks for `asked`, was given `given` and runs with `actual`, as requests and as limits. */
const resized = (asked: Amounts, given: Amounts, actual: Amounts, reason?: string): Pod => ({
  spec: {
    containers: [{ name: 'web', image: 'web', resources: { requests: asked, limits: asked } }],
    overhead: { cpu: '10m' },
  },
  status: {
    containerStatuses: [
      {
        ...{ name: 'web', image: 'web', imageID: '', ready: true, restartCount: 0 },
        resources: { requests: actual, limits: actual },
        allocatedResources: given,
      },
    ],
    ...(reason ? { conditions: [{ type: 'PodResizePending', status: 'True', reason }] } : {}),
  },
});

const cpu = (amount: string): Amounts => ({ cpu: amount });

describe('a pod that is resized', () => {
  test.each<[what: string, pod: Pod, millis: number]>([
    ['less than it runs with', resized(cpu('100m'), cpu('100m'), cpu('1')), 1010],
    ['less than it was given', resized(cpu('100m'), cpu('1'), cpu('500m')), 1010],
    ['more than it was given', resized(cpu('2'), cpu('1'), cpu('1'), 'Deferred'), 2010],
    ['more than its node has', resized(cpu('2000'), cpu('500m'), cpu('1'), 'Infeasible'), 1010],
    ['what it has, written in another way', resized(cpu('1'), cpu('1000m'), cpu('1.0')), 1010],
  ])('and asks for %s counts with the most that it may use', (_, pod, millis) => {
    expect(podRequests(withResourcesInUse(pod)).get('cpu')).toBe(millis);
    expect(podQuantities(withResourcesInUse(pod), 'requests').get('cpu')?.toString()).toBe(`${millis}m`);
  });

  test('keeps its limits until they are in effect, or what it has when its node can never give more', () => {
    const limit = (pod: Pod) => withResourcesInUse(pod).spec?.containers[0]?.resources?.limits?.['cpu'];
    expect(limit(resized(cpu('100m'), cpu('100m'), cpu('1')))).toBe('1');
    expect(limit(resized(cpu('2000'), cpu('1'), cpu('1'), 'Infeasible'))).toBe('1');
  });

  test('as a whole counts with the most that it may use, like its sidecars', () => {
    const { spec, status } = resized({}, {}, {});
    const [web] = status!.containerStatuses!;
    const pod: Pod = {
      spec: {
        ...{ containers: spec!.containers, resources: { requests: { cpu: '1' } } },
        initContainers: [
          { name: 'proxy', image: 'web', restartPolicy: 'Always', resources: { requests: { memory: '1Mi' } } },
        ],
      },
      status: {
        ...status,
        initContainerStatuses: [{ ...web!, name: 'proxy', resources: { requests: { memory: '3Mi' } } }],
        resources: { requests: { cpu: '2' } },
        allocatedResources: { cpu: '1500m' },
      },
    };
    expect(Object.fromEntries(podRequests(withResourcesInUse(pod)))).toEqual({ cpu: 2000, memory: 3 * 1024 * 1024 });
  });

  test('is the very same object when it has what it asks for, or nothing is known of it yet', () => {
    const settled = resized(cpu('1'), cpu('1'), cpu('1'));
    const { status: _, ...fresh } = settled;
    for (const pod of [settled, fresh]) expect(withResourcesInUse(pod)).toBe(pod);
  });
});
