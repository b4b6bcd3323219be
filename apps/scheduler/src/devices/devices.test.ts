import { claimFinalizer, pods, resourceClaims, resourceSlices, type ResourceClaim } from '@naru/api';
import { eventually } from '@naru/testing';
import type { PodInput } from '../fixtures';
import { deviceLab, gpu, key, slice } from './device-lab';
import type { Device } from './device-view';

type Claim = NonNullable<NonNullable<ResourceClaim['spec']>['devices']>;
type Exact = NonNullable<NonNullable<Claim['requests']>[number]['exactly']>;

const request = (name: string, exactly: Partial<Exact> = {}) => ({
  name,
  exactly: { deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 1, ...exactly },
});
const claim = (name: string, devices: Claim = { requests: [request('main')] }): ResourceClaim => ({
  metadata: { ...key(name), uid: `uid-${name}` },
  spec: { devices },
});
const using = (...claims: string[]): PodInput => ({
  resourceClaims: claims.map((resourceClaimName, i) => ({ name: `d${i}`, resourceClaimName })),
});
const cel = (expression: string): Partial<Exact> => ({ selectors: [{ cel: { expression } }] });

test('a pod goes where its device is, and the claim says which it has before the pod is bound', async () => {
  const { api, lab, stop } = await deviceLab(['a', 'b'], {
    slices: [slice('b', [gpu('gpu-0')])],
    claims: [claim('mine')],
  });
  expect(lab.schedule({ ...using('mine'), name: 'train' })).toEqual({ node: 'b' });
  await eventually(async () => expect((await api.get(pods, key('train'))).spec?.nodeName).toBe('b'));
  const { metadata, status } = await api.get(resourceClaims, key('mine'));
  expect(metadata.finalizers).toEqual([claimFinalizer]);
  expect(status).toEqual({
    allocation: {
      devices: { results: [{ request: 'main', driver: 'gpu.example.com', pool: 'b', device: 'gpu-0' }] },
      nodeSelector: {
        nodeSelectorTerms: [{ matchFields: [{ key: 'metadata.name', operator: 'In', values: ['b'] }] }],
      },
    },
    reservedFor: [{ resource: 'pods', name: 'train', uid: 'uid-train' }],
  });
  stop();
});

test('a device is given once, also to pods that follow at once; a pod that shares the claim follows its node', async () => {
  const { api, lab, told, changeStatus, stop } = await deviceLab(['a', 'b'], {
    slices: [slice('a', [gpu('gpu-0')]), slice('b', [gpu('gpu-0')])],
    claims: [claim('one'), claim('two'), claim('three')],
  });
  const first = lab.schedule({ ...using('one'), name: 'first' });
  const second = lab.schedule({ ...using('two'), name: 'second' });
  expect([first.node, second.node].sort()).toEqual(['a', 'b']);
  expect(lab.schedule(using('three')).message).toContain('2 cannot allocate all claims');
  expect(lab.schedule({ ...using('one'), name: 'beside' })).toEqual({ node: first.node });
  await eventually(async () => expect((await api.get(pods, key('second'))).spec?.nodeName).toBe(second.node));
  // Shown by the api-server, it is still taken; given back, it is free.
  expect(lab.schedule(using('three')).message).toContain('2 cannot allocate all claims');
  told.length = 0;
  await changeStatus('two', { allocation: null, reservedFor: null });
  await eventually(() => expect(told).toContain('ResourceClaimChange'));
  expect(lab.schedule(using('three'))).toEqual({ node: second.node });
  stop();
});

const big = gpu('big', {
  attributes: {
    model: { string: 'A' },
    'example.com/numa': { int: 1 },
    driverVersion: { version: '2.1.0' },
    ecc: { bool: true },
  },
  capacity: { memory: { value: '40Gi' } },
});
const small = gpu('small', {
  attributes: { model: { string: 'B' }, 'example.com/numa': { int: 0 } },
  capacity: { memory: { value: '10Gi' } },
});
const small2 = gpu('small-2', {
  attributes: { model: { string: 'B' }, 'example.com/numa': { int: 1 } },
  capacity: { memory: { value: '10Gi' } },
});

test.each<[string, Claim, string[] | string]>([
  [
    'an attribute of the driver',
    { requests: [request('main', cel('device.attributes["gpu.example.com"].model == "B"'))] },
    ['main=small'],
  ],
  [
    'an attribute of another domain',
    { requests: [request('main', cel('device.attributes["example.com"].numa == 0'))] },
    ['main=small'],
  ],
  [
    'a capacity',
    { requests: [request('main', cel('device.capacity["gpu.example.com"].memory.isLessThan(quantity("20Gi"))'))] },
    ['main=small'],
  ],
  [
    'a version and a boolean that only some devices have',
    {
      requests: [
        request(
          'main',
          cel(
            '"ecc" in device.attributes["gpu.example.com"] && device.attributes["gpu.example.com"].driverVersion.isGreaterThan(semver("2.0.0"))',
          ),
        ),
      ],
    },
    ['main=big'],
  ],
  ['two at once', { requests: [request('main', { count: 2 })] }, ['main=big', 'main=small']],
  [
    'all that match',
    {
      requests: [
        request('main', {
          allocationMode: 'All',
          count: undefined,
          ...cel('device.attributes["gpu.example.com"].model == "B"'),
        }),
      ],
    },
    ['main=small', 'main=small-2'],
  ],
  [
    'several that agree in an attribute, which the first choice does not allow',
    {
      requests: [request('x', cel('device.attributes["gpu.example.com"].model == "B"')), request('y')],
      constraints: [{ matchAttribute: 'gpu.example.com/model' }],
    },
    ['x=small', 'y=small-2'],
  ],
  [
    'several that differ in an attribute',
    { requests: [request('main', { count: 2 })], constraints: [{ distinctAttribute: 'example.com/numa' }] },
    ['main=big', 'main=small'],
  ],
  [
    'the best of several alternatives that is there',
    {
      requests: [
        {
          name: 'main',
          firstAvailable: [
            { name: 'four', deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 4 },
            { name: 'two', deviceClassName: 'gpu', allocationMode: 'ExactCount', count: 2 },
          ],
        },
      ],
    },
    ['main/two=big', 'main/two=small'],
  ],
  ['more than there are', { requests: [request('main', { count: 4 })] }, '1 cannot allocate all claims'],
  [
    'a class that does not exist',
    { requests: [request('main', { deviceClassName: 'none' })] },
    'request main: device class none does not exist',
  ],
  [
    'what its expression fails on',
    { requests: [request('main', cel('device.attributes["other.example.com"].what == 1'))] },
    'claim default/mine: request main: CEL expression',
  ],
])('a claim may ask for %s', async (_what, spec, expected) => {
  const { lab, chosen, stop } = await deviceLab(['a'], {
    slices: [slice('a', [big, small, small2])],
    claims: [claim('mine', spec)],
  });
  const outcome = lab.schedule(using('mine'));
  if (typeof expected === 'string') expect(outcome.message).toContain(expected);
  else {
    expect(outcome).toEqual({ node: 'a' });
    await eventually(async () => expect(await chosen('mine')).toEqual(expected));
  }
  stop();
});

test('access for administrators is to devices that others have, and takes none', async () => {
  const { lab, chosen, stop } = await deviceLab(['a'], {
    slices: [slice('a', [gpu('gpu-0')])],
    claims: [claim('user'), claim('next'), claim('watch', { requests: [request('all', { adminAccess: true })] })],
  });
  expect(lab.schedule(using('watch'))).toEqual({ node: 'a' });
  expect(lab.schedule(using('user'))).toEqual({ node: 'a' });
  await eventually(async () => expect(await chosen('watch')).toEqual(['all=gpu-0']));
  expect(lab.schedule(using('next')).message).toContain('1 cannot allocate all claims');
  stop();
});

test('a tainted device is for claims that tolerate it', async () => {
  const taints = [{ key: 'example.com/unhealthy', effect: 'NoSchedule' }];
  const tolerations = [{ key: 'example.com/unhealthy', operator: 'Exists' }];
  const { lab, stop } = await deviceLab(['a'], {
    slices: [slice('a', [gpu('gpu-0', { taints })])],
    claims: [claim('plain'), claim('brave', { requests: [request('main', { tolerations })] })],
  });
  expect(lab.schedule(using('plain')).message).toContain('1 cannot allocate all claims');
  expect(lab.schedule(using('brave'))).toEqual({ node: 'a' });
  stop();
});

test('partitions of a device are given out until its counters are used up', async () => {
  const takes = (value: string): Partial<Device> => ({
    consumesCounters: [{ counterSet: 'card', counters: { memory: { value } } }],
  });
  const { lab, stop } = await deviceLab(['a'], {
    slices: [
      slice('a', [gpu('half-0', takes('20Gi')), gpu('half-1', takes('20Gi')), gpu('whole', takes('40Gi'))], {
        sharedCounters: [{ name: 'card', counters: { memory: { value: '40Gi' } } }],
      }),
    ],
    claims: [
      claim('one'),
      claim('two'),
      claim('three'),
      claim('pair', { requests: [request('main', { allocationMode: 'All', count: undefined })] }),
    ],
  });
  expect(lab.schedule(using('pair')).message).toContain('1 cannot allocate all claims');
  expect(lab.schedule(using('one'))).toEqual({ node: 'a' });
  expect(lab.schedule(using('two'))).toEqual({ node: 'a' });
  expect(lab.schedule(using('three')).message).toContain('1 cannot allocate all claims');
  stop();
});

test('devices of a pool that is being changed are not given out, and those of an older generation never', async () => {
  const { api, lab, told, stop } = await deviceLab(['a'], {
    slices: [
      slice('a', [gpu('old')]),
      slice('a', [gpu('new')], { pool: { name: 'a', generation: 2, resourceSliceCount: 2 } }),
    ],
    claims: [claim('mine')],
  });
  expect(lab.schedule(using('mine')).message).toContain('1 cannot allocate all claims');
  told.length = 0;
  const rest = slice('a', [], { pool: { name: 'a', generation: 2, resourceSliceCount: 2 } });
  await api.create(resourceSlices, { ...rest, metadata: { name: 'rest' } });
  await eventually(() => expect(told).toContain('ResourceSliceChange'));
  expect(lab.schedule(using('mine'))).toEqual({ node: 'a' });
  stop();
});

test.each<[string, PodInput, ResourceClaim[], string]>([
  ['that does not exist', using('none'), [], 'resourceclaim.resource.k8s.io "none" not found'],
  [
    'of a template, which is not made yet',
    { resourceClaims: [{ name: 'gpu', resourceClaimTemplateName: 'some' }] },
    [],
    'waiting for dynamic resource controller to create the resourceclaim of "gpu"',
  ],
  [
    'that is being deleted',
    using('mine'),
    [{ ...claim('mine'), metadata: { ...claim('mine').metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } }],
    'resourceclaim "mine" is being deleted',
  ],
])('a pod with a claim %s waits, and says why', async (_what, input, claims, message) => {
  const { lab, stop } = await deviceLab(['a'], { slices: [slice('a', [gpu('gpu-0')])], claims });
  expect(lab.schedule(input).message).toContain(message);
  stop();
});

test('a claim that nobody uses is given back when it keeps a pod from the nodes where it fits', async () => {
  const { lab, told, chosen, changeStatus, stop } = await deviceLab(['a', 'b'], {
    slices: [slice('a', [gpu('gpu-0')]), slice('b', [gpu('gpu-0')])],
    claims: [claim('mine')],
  });
  const there = lab.schedule({ ...using('mine'), name: 'first' }).node ?? '';
  const other = there === 'a' ? 'b' : 'a';
  await eventually(async () => expect(await chosen('mine')).toEqual(['main=gpu-0']));
  told.length = 0;
  await changeStatus('mine', { reservedFor: null });
  await eventually(() => expect(told).toContain('ResourceClaimChange'));
  lab.schedule({ ...using('mine'), nodeSelector: { 'kubernetes.io/hostname': other } });
  await eventually(() =>
    expect(lab.events.map(({ message }) => message)).toContainEqual(
      expect.stringContaining('deallocation of ResourceClaim completed'),
    ),
  );
  expect(await chosen('mine')).toBeUndefined();
  stop();
});
