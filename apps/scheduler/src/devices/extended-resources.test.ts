import {
  claimFinalizer,
  deviceClasses,
  extendedClaimAnnotation,
  pods,
  resourceClaims,
  type Container,
  type DeviceClass,
  type ResourceClaim,
} from '@naru/api';
import { StatusError } from '@naru/foundation';
import { eventually, MemoryObjects } from '@naru/testing';
import { makeNode, makePod, startScheduler, type PodInput } from '../fixtures';
import { discardClaim } from './claim-writer';
import { deviceLab, gpu, gpus, key, slice } from './device-lab';
import { extendedRequests } from './extended-requests';

const resource = 'example.com/gpu';
const implicit = 'deviceclass.resource.kubernetes.io/gpu';
const named = (name: string, more: object = {}): DeviceClass => ({
  metadata: { name, ...more },
  spec: { ...gpus.spec, extendedResourceName: resource },
});
const container = (name: string, requests: Record<string, string>, more: Partial<Container> = {}): Container => ({
  name,
  image: 'train',
  resources: { requests, limits: requests },
  ...more,
});
const asking = (name: string, amount = '1', what = resource): PodInput => ({
  name,
  containers: [container('main', { cpu: '1', [what]: amount })],
});
const mapping = (containerName: string, requestName: string) => ({
  containerName,
  resourceName: resource,
  requestName,
});

const madeFor = (pod: string, namespace = 'default'): ResourceClaim => ({
  metadata: {
    ...{ namespace, name: `${pod}-extended-resources-x` },
    annotations: { [extendedClaimAnnotation]: 'true' },
    finalizers: [claimFinalizer],
    ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: pod, uid: `uid-${pod}`, controller: true }],
  },
  spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'gpu', count: 1 } }] } },
});

/** Pods are shown to the scheduler as they are made. */
async function cluster(...parameters: Parameters<typeof deviceLab>) {
  const all = await deviceLab(...parameters);
  const bound = (name: string) =>
    eventually(async () => expect((await all.api.get(pods, key(name))).spec?.nodeName).toBeDefined());
  const claims = async () => (await all.api.list(resourceClaims)).items;
  return { ...all, bound, claims };
}

describe('extended resources that drivers provide', () => {
  it('are had by a claim that the scheduler makes, and the pod tells which devices are for which container', async () => {
    const { api, lab, bound, claims, stop } = await cluster(['a', 'b'], {
      classes: [named('gpu')],
      slices: [slice('b', [gpu('gpu-0'), gpu('gpu-1')])],
    });
    expect(lab.schedule(asking('train', '2'))).toEqual({ node: 'b' });
    await bound('train');
    const [claim] = await claims();
    const result = { request: 'container-0-request-1', driver: 'gpu.example.com', pool: 'b' };
    expect(claim).toMatchObject({
      metadata: {
        annotations: { [extendedClaimAnnotation]: 'true' },
        finalizers: [claimFinalizer],
        ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'train', uid: 'uid-train', controller: true }],
      },
      spec: {
        devices: {
          requests: [
            {
              name: 'container-0-request-1',
              exactly: { deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 2 },
            },
          ],
        },
      },
      status: {
        allocation: {
          devices: {
            results: [
              { ...result, device: 'gpu-0' },
              { ...result, device: 'gpu-1' },
            ],
          },
        },
        reservedFor: [{ resource: 'pods', name: 'train', uid: 'uid-train' }],
      },
    });
    expect(claim?.metadata.name).toMatch(/^train-extended-resources-/);
    expect((await api.get(pods, key('train'))).status?.extendedResourceClaimStatus).toEqual({
      requestMappings: [mapping('main', 'container-0-request-1')],
      resourceClaimName: claim?.metadata.name,
    });
    stop();
  });

  it('are given once, also to pods that follow at once, and are free when the claim is gone', async () => {
    const { api, lab, bound, claims, told, stop } = await cluster(['a'], {
      classes: [named('gpu')],
      slices: [slice('a', [gpu('gpu-0')])],
    });
    expect(lab.schedule(asking('first'))).toEqual({ node: 'a' });
    expect(lab.schedule(asking('second')).message).toContain('1 cannot allocate all claims');
    await bound('first');
    expect(lab.schedule(asking('third')).message).toContain('1 cannot allocate all claims');
    const [claim] = await claims();
    const { namespace, name = '' } = claim?.metadata ?? {};
    await api.patch(resourceClaims, { namespace, name }, { type: 'merge', body: { metadata: { finalizers: null } } });
    told.length = 0;
    await api.delete(resourceClaims, { namespace, name });
    await eventually(() => expect(told).toContain('ResourceClaimChange'));
    expect(lab.schedule(asking('fourth'))).toEqual({ node: 'a' });
    stop();
  });

  it('have the name of their class too', async () => {
    const { lab, bound, claims, stop } = await cluster(['a'], { slices: [slice('a', [gpu('gpu-0')])] });
    expect(lab.schedule(asking('train', '1', implicit))).toEqual({ node: 'a' });
    await bound('train');
    expect((await claims())[0]?.spec?.devices?.requests?.[0]?.exactly?.deviceClassName).toBe('gpu');
    stop();
  });

  it('need no claim on nodes whose device plugins count them', async () => {
    const { api, lab, bound, claims, stop } = await cluster([makeNode('a', { extended: { [resource]: '1' } }), 'b'], {
      classes: [named('gpu')],
      slices: [slice('b', [gpu('gpu-0')])],
    });
    const here = { nodeSelector: { 'kubernetes.io/hostname': 'a' } };
    expect(lab.schedule({ ...asking('plugin'), ...here })).toEqual({ node: 'a' });
    await bound('plugin');
    expect(await claims()).toEqual([]);
    expect((await api.get(pods, key('plugin'))).status?.extendedResourceClaimStatus).toBeUndefined();
    // Of one node all comes from the same side: its driver's devices do not make up for what its plugins lack.
    expect(lab.schedule({ ...asking('more'), ...here }).message).toContain(`Insufficient ${resource}`);
    expect(lab.schedule(asking('driver'))).toEqual({ node: 'b' });
    stop();
  });

  it('are provided by the newest of several classes, and by none before there is one', async () => {
    const { api, lab, told, bound, claims, stop } = await cluster(['a'], {
      classes: [],
      slices: [slice('a', [gpu('gpu-0')])],
    });
    expect(lab.schedule(asking('early')).message).toContain(`1 Insufficient ${resource}`);
    told.length = 0;
    for (const [name, creationTimestamp] of [
      ['old', '2026-01-01T00:00:00Z'],
      ['new-b', '2026-01-02T00:00:00Z'],
      ['new-a', '2026-01-02T00:00:00Z'],
    ] as const)
      api.seed(deviceClasses, named(name, { creationTimestamp }));
    await eventually(() => expect(told).toHaveLength(3));
    expect(lab.schedule(asking('train'))).toEqual({ node: 'a' });
    await bound('train');
    expect((await claims())[0]?.spec?.devices?.requests?.[0]?.exactly?.deviceClassName).toBe('new-a');
    stop();
  });

  it('leave no claim behind when the pod cannot be bound, nor one of an attempt before a crash', async () => {
    const { api, stop: stopLab } = await cluster(['a'], {
      classes: [named('gpu')],
      slices: [slice('a', [gpu('gpu-0')])],
    });
    stopLab();
    const leftover = api.seed(resourceClaims, madeFor('train'));
    const { scheduler, stop } = await startScheduler(api, { initialBackoffMs: 10 });
    scheduler.cache.setNode(makeNode('a'));
    let failed = 0;
    api.failNext(new StatusError('InternalError', 'the binding was lost'), ({ subresource }) => {
      if (subresource === 'binding') failed++;
      return subresource === 'binding';
    });
    await api.create(pods, makePod(asking('train')));
    await eventually(async () => expect((await api.get(pods, key('train'))).spec?.nodeName).toBe('a'), 60_000);
    expect(failed).toBe(1);
    const left = (await api.list(resourceClaims)).items.map(({ metadata }) => metadata.name);
    const { extendedResourceClaimStatus: told } = (await api.get(pods, key('train'))).status ?? {};
    expect(left).toEqual([told?.resourceClaimName]);
    expect(left).not.toContain(leftover.metadata.name);
    await stop();
  });

  it('are not held up by a claim of another namespace that names the pod', async () => {
    const { lab, stop } = await cluster(['a'], {
      ...{ classes: [named('gpu')], slices: [slice('a', [gpu('gpu-0')])] },
      claims: [madeFor('train', 'other')],
    });
    expect(lab.schedule(asking('train'))).toEqual({ node: 'a' });
    stop();
  });

  it.each([
    ['has no node, and tells of the claim no more', undefined, undefined, 0],
    ['has its node, and keeps the claim', 'a', 'train-extended-resources-x', 1],
  ])('are given up with the claim when the pod %s', async (_what, nodeName, told, left) => {
    const api = new MemoryObjects();
    const claim = api.seed(resourceClaims, madeFor('train'));
    const requestMappings = [mapping('main', 'container-0-request-1')];
    const status = { extendedResourceClaimStatus: { requestMappings, resourceClaimName: claim.metadata.name } };
    const { spec, ...rest } = makePod(asking('train'));
    const pod = api.seed(pods, { ...rest, spec: { ...spec!, ...(nodeName ? { nodeName } : {}) }, status });
    await discardClaim(api, claim, pod);
    const after = await api.get(pods, key('train'));
    expect(after.status?.extendedResourceClaimStatus?.resourceClaimName).toBe(told);
    expect((await api.list(resourceClaims)).items).toHaveLength(left);
  });
});

test.each<[string, Container[], Container[], string[], string[]]>([
  [
    'each container that stays has devices of its own',
    [],
    [container('a', { [resource]: '1' }), container('none', {}), container('b', { cpu: '1', [resource]: '2' })],
    ['container-0-request-0=1', 'container-2-request-1=2'],
    ['a:container-0-request-0', 'b:container-2-request-1'],
  ],
  [
    'an init container takes what is for those after it',
    [container('init', { [resource]: '2' })],
    [container('a', { [resource]: '1' }), container('b', { [resource]: '3' })],
    ['container-1-request-0=1', 'container-2-request-0=3'],
    [
      ...['a:container-1-request-0', 'b:container-2-request-0'],
      ...['init:container-1-request-0', 'init:container-2-request-0'],
    ],
  ],
  [
    'init containers share what they need beyond that',
    [container('small', { [resource]: '2' }), container('large', { [resource]: '4' })],
    [container('a', { [resource]: '1' })],
    ['container-1-request-0=3', 'container-2-request-0=1'],
    [
      'a:container-2-request-0',
      ...['small:container-2-request-0', 'small:container-1-request-0'],
      ...['large:container-2-request-0', 'large:container-1-request-0'],
    ],
  ],
  [
    'a sidecar stays, and an init container after it has nothing of it',
    [container('side', { [resource]: '2' }, { restartPolicy: 'Always' }), container('init', { [resource]: '1' })],
    [container('a', {})],
    ['container-0-request-0=2', 'container-1-request-0=1'],
    ['side:container-0-request-0', 'init:container-1-request-0'],
  ],
])('of extended resources %s', (_what, initContainers, containers, requests, mappings) => {
  const wanted = extendedRequests({ spec: { initContainers, containers } }, new Map([[resource, 'gpu']]));
  expect(wanted.requests.map(({ name, exactly }) => `${name}=${exactly.count}`)).toEqual(requests);
  expect(wanted.mappings.map(({ containerName, requestName }) => `${containerName}:${requestName}`)).toEqual(mappings);
});
