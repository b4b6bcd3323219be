import type { CoreEvent, Pod, ResourceClaim } from '@naru/api';
import { eventually } from '@naru/testing';
import { apply, askJson, kubectl, withNamespace } from './cluster';

const card = 'device-claims.example.com';

/** One card on worker-1; its driver is not there, which the kubelet is to say. */
const offer = `
apiVersion: resource.k8s.io/v1
kind: DeviceClass
metadata: { name: ${card} }
spec:
  extendedResourceName: ${card}/card
  selectors: [{ cel: { expression: 'device.driver == "${card}"' } }]
---
apiVersion: resource.k8s.io/v1
kind: ResourceSlice
metadata: { name: ${card} }
spec:
  driver: ${card}
  nodeName: worker-1
  pool: { name: worker-1, generation: 1, resourceSliceCount: 1 }
  devices:
  - name: card-0
    attributes: { model: { string: A100 } }
    capacity: { memory: { value: 40Gi } }
`;

const user = (name: string) => `
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: { name: ${name} }
spec:
  spec:
    devices:
      requests:
      - name: gpu
        exactly:
          deviceClassName: ${card}
          selectors:
          - cel: { expression: 'device.capacity["${card}"].memory.compareTo(quantity("20Gi")) >= 0' }
---
apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  terminationGracePeriodSeconds: 1
  resourceClaims: [{ name: card, resourceClaimTemplateName: ${name} }]
  containers:
  - name: main
    image: naru.dev/web:v1
    imagePullPolicy: Never
    resources: { claims: [{ name: card }] }
`;

/** The same card, as an extended resource. */
const extendedUser = (name: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: naru.dev/web:v1
    imagePullPolicy: Never
    resources: { limits: { ${card}/card: 1 } }
`;

afterAll(() => kubectl(['delete', 'deviceclass,resourceslice', card, '--ignore-not-found'], { anyCode: true }));

test('a pod is put where the device of its claim is, and the next ones get it when it is free, also as an extended resource', () =>
  withNamespace('device-claims', async namespace => {
    await apply(offer);
    const claims = async () =>
      (await askJson<{ items: ResourceClaim[] }>('-n', namespace, 'get', 'resourceclaims')).items;
    await apply(user('first'), '-n', namespace);
    await eventually(async () => {
      const pod = await askJson<Pod>('-n', namespace, 'get', 'pod', 'first');
      expect(pod.spec?.nodeName).toBe('worker-1');
      const [claim] = await claims();
      expect(claim?.status).toMatchObject({
        allocation: { devices: { results: [{ request: 'gpu', driver: card, pool: 'worker-1', device: 'card-0' }] } },
        reservedFor: [{ resource: 'pods', name: 'first', uid: pod.metadata?.uid }],
      });
    });
    const told = async (name: string): Promise<string[]> => {
      const { items } = await askJson<{ items: CoreEvent[] }>('-n', namespace, 'get', 'events');
      return items.filter(({ involvedObject }) => involvedObject.name === name).map(({ message = '' }) => message);
    };
    await eventually(async () =>
      expect(await told('first')).toContainEqual(
        `Failed to prepare dynamic resources: DRA driver ${card} is not registered`,
      ),
    );
    await apply(user('second'), '-n', namespace);
    await eventually(async () =>
      expect(await told('second')).toContainEqual(expect.stringContaining('cannot allocate all claims')),
    );
    await kubectl(['-n', namespace, 'delete', 'pod', 'first']);
    await eventually(async () => {
      expect((await askJson<Pod>('-n', namespace, 'get', 'pod', 'second')).spec?.nodeName).toBe('worker-1');
      expect((await claims()).map(({ metadata }) => metadata?.ownerReferences?.[0]?.name)).toEqual(['second']);
    });
    await apply(extendedUser('third'), '-n', namespace);
    await eventually(async () =>
      expect(await told('third')).toContainEqual(expect.stringContaining('cannot allocate all claims')),
    );
    await kubectl(['-n', namespace, 'delete', 'pod', 'second']);
    await eventually(async () => {
      const { spec, status } = await askJson<Pod>('-n', namespace, 'get', 'pod', 'third');
      expect(spec?.nodeName).toBe('worker-1');
      const { resourceClaimName, requestMappings } = status?.extendedResourceClaimStatus ?? {};
      expect(resourceClaimName).toMatch(/^third-extended-resources-/);
      expect(requestMappings).toMatchObject([{ containerName: 'main', resourceName: `${card}/card` }]);
      expect((await claims()).map(({ metadata }) => metadata?.name)).toEqual([resourceClaimName]);
    });
    await eventually(async () =>
      expect(await told('third')).toContainEqual(
        `Failed to prepare dynamic resources: DRA driver ${card} is not registered`,
      ),
    );
    await kubectl(['-n', namespace, 'delete', 'pod', 'third']);
    await eventually(async () => expect(await claims()).toEqual([]));
  }));
