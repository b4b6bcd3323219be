import {
  claimFinalizer,
  podClaimAnnotation,
  pods,
  resourceClaims,
  resourceClaimTemplates,
  type Pod,
  type ResourceClaim,
} from '@naru/api';
import { eventually } from '@naru/testing';
import { makePod, startControllers } from '../../fixtures';
import { convergenceSuite } from '../../simulation';
import { resourceClaimController, resourceClaimReleaseController } from './resource-claim-controller';

const both = [resourceClaimController, resourceClaimReleaseController];
const key = (name: string) => ({ namespace: 'default', name });
const spec = { devices: { requests: [{ name: 'main', exactly: { deviceClassName: 'gpu', count: 1 } }] } };
const template = { metadata: key('gpu'), spec: { metadata: { labels: { a: 'b' } }, spec } };
const fromTemplate = (name: string): Pod =>
  makePod(name, { spec: { resourceClaims: [{ name: 'card', resourceClaimTemplateName: 'gpu' }] } });
const withClaim = (name: string, more: Pod['spec'] = undefined): Pod =>
  makePod(name, { spec: { resourceClaims: [{ name: 'card', resourceClaimName: 'shared' }], ...more } });
const allocated = (...users: { name: string; uid: string }[]): ResourceClaim => ({
  metadata: { ...key('shared'), finalizers: [claimFinalizer] },
  spec,
  status: {
    allocation: { devices: { results: [{ request: 'main', driver: 'd.example.com', pool: 'p', device: 'x' }] } },
    ...(users.length > 0 ? { reservedFor: users.map(user => ({ resource: 'pods', ...user })) } : {}),
  },
});

test('a pod gets a claim of its own from a template, and its status says which', async () => {
  const cluster = await startControllers(both);
  const { metadata } = cluster.api.seed(pods, fromTemplate('train'));
  await eventually(() =>
    expect(cluster.events).toContainEqual({
      about: 'train',
      reason: 'FailedResourceClaimCreation',
      message: 'PodResourceClaim card: resourceclaimtemplate "gpu" not found',
    }),
  );
  cluster.api.seed(resourceClaimTemplates, template);
  await eventually(async () => {
    const { status } = await cluster.api.get(pods, key('train'));
    const [made] = status?.resourceClaimStatuses ?? [];
    expect(made?.name).toBe('card');
    const claim = await cluster.api.get(resourceClaims, key(made?.resourceClaimName ?? ''));
    expect(claim.metadata).toMatchObject({
      labels: { a: 'b' },
      annotations: { [podClaimAnnotation]: 'card' },
      ownerReferences: [{ kind: 'Pod', name: 'train', uid: metadata.uid, controller: true }],
    });
    expect(claim.metadata.name).toMatch(/^train-card-[a-z0-9]{5}$/);
    expect(claim.spec).toEqual(spec);
  });
  await cluster.stop();
});

test('devices are given back when the last pod that used them has ended, and not before', async () => {
  const cluster = await startControllers(both);
  const one = cluster.api.seed(pods, withClaim('one', { containers: [], nodeName: 'a' }));
  cluster.api.seed(
    resourceClaims,
    allocated({ name: 'one', uid: one.metadata.uid }, { name: 'gone', uid: 'uid-of-one-that-is-gone' }),
  );
  await eventually(async () => {
    const { status } = await cluster.api.get(resourceClaims, key('shared'));
    expect(status?.reservedFor?.map(({ name }) => name)).toEqual(['one']);
    expect(status?.allocation).toBeDefined();
  });
  const body = { status: { phase: 'Succeeded' } };
  await cluster.api.patch(pods, key('one'), { type: 'merge', body }, { subresource: 'status' });
  await eventually(async () => {
    const { metadata, status } = await cluster.api.get(resourceClaims, key('shared'));
    expect(status?.allocation).toBeUndefined();
    expect(metadata.finalizers ?? []).toEqual([]);
  });
  await cluster.stop();
});

test('a pod that was put on its node by others is noted as a user of what is allocated', async () => {
  const cluster = await startControllers(both);
  cluster.api.seed(resourceClaims, allocated());
  const { metadata } = cluster.api.seed(pods, withClaim('placed', { containers: [], nodeName: 'a' }));
  await eventually(async () => {
    const { status } = await cluster.api.get(resourceClaims, key('shared'));
    expect(status?.reservedFor).toEqual([{ resource: 'pods', name: 'placed', uid: metadata.uid }]);
  });
  await cluster.stop();
});

test('a claim that was made for a pod goes when the pod has ended', async () => {
  const cluster = await startControllers(both);
  cluster.api.seed(resourceClaimTemplates, template);
  cluster.api.seed(pods, fromTemplate('train'));
  await eventually(async () => expect((await cluster.api.list(resourceClaims)).items).toHaveLength(1));
  const body = { status: { phase: 'Failed' } };
  await cluster.api.patch(pods, key('train'), { type: 'merge', body }, { subresource: 'status' });
  await eventually(async () => expect((await cluster.api.list(resourceClaims)).items).toHaveLength(0));
  await cluster.stop();
});

test('the claim for the extended resources of a pod goes when the pod has ended, and its devices are free', async () => {
  const cluster = await startControllers(both);
  const { metadata } = cluster.api.seed(pods, makePod('train', { spec: { containers: [], nodeName: 'a' } }));
  const { name, uid } = metadata;
  cluster.api.seed(resourceClaims, {
    ...allocated({ name, uid }),
    metadata: {
      ...key('train-extended-resources-x'),
      finalizers: [claimFinalizer],
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid, controller: true }],
    },
  });
  const requestMappings = [{ containerName: 'main', resourceName: 'example.com/gpu', requestName: 'main' }];
  const extendedResourceClaimStatus = { requestMappings, resourceClaimName: 'train-extended-resources-x' };
  const change = (status: object) =>
    cluster.api.patch(pods, key('train'), { type: 'merge', body: { status } }, { subresource: 'status' });
  await change({ phase: 'Running', extendedResourceClaimStatus });
  await change({ phase: 'Succeeded' });
  await eventually(async () => expect((await cluster.api.list(resourceClaims)).items).toEqual([]));
  await cluster.stop();
});

convergenceSuite(both, {
  objects(api) {
    api.seed(resourceClaimTemplates, template);
    api.seed(pods, fromTemplate('train'));
    api.seed(resourceClaims, allocated({ name: 'gone', uid: 'uid-of-one-that-is-gone' }));
  },
  steps: [client => client.create(pods, fromTemplate('more'))],
  async expectEnd(api) {
    const claims = (await api.list(resourceClaims)).items;
    const owners = claims.flatMap(({ metadata }) => metadata.ownerReferences?.map(({ name }) => name) ?? []);
    expect(owners.sort()).toEqual(['more', 'train']);
    for (const name of ['train', 'more']) {
      const { status } = await api.get(pods, key(name));
      expect(status?.resourceClaimStatuses).toHaveLength(1);
    }
    expect((await api.get(resourceClaims, key('shared'))).status?.allocation).toBeUndefined();
  },
});
