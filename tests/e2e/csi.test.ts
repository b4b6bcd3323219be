import type {
  CSINode,
  CSIStorageCapacity,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  VolumeAttachment,
} from '@naru/api';
import { eventually } from '@naru/testing';
import { ask, askJson, kubectl, naru, run, withNamespace } from './cluster';

const example = 'examples/csi-driver';

beforeAll(async () => {
  await run(`${example}/build-image`, []);
  await naru(['image', 'load', `${example}/csi-driver.tar`]);
  await kubectl(['apply', '-f', `${example}/csi-driver.yaml`]);
  await kubectl(['-n', 'kube-system', 'rollout', 'status', 'daemonset/csi-hostpath', '--timeout=120s']);
});

afterAll(async () => {
  await kubectl(['delete', '-f', `${example}/csi-driver.yaml`, '--timeout=120s'], { anyCode: true });
});

const workload = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: data }
spec:
  storageClassName: csi-hostpath
  accessModes: [ReadWriteOnce]
  resources: { requests: { storage: 16Mi } }
---
apiVersion: v1
kind: Pod
metadata: { name: writer }
spec:
  terminationGracePeriodSeconds: 1
  securityContext: { runAsUser: 1000, fsGroup: 4321 }
  containers:
  - name: main
    image: naru.dev/web:v1
    imagePullPolicy: Never
    command: [sh, -c, 'echo written > /data/file && sleep 1000']
    volumeMounts: [{ name: data, mountPath: /data }]
  volumes: [{ name: data, persistentVolumeClaim: { claimName: data } }]
`;

/** The driver grows the volume, and the kubelet what is in it, while the pod goes on. */
async function grows(namespace: string, volume: string): Promise<void> {
  const inNamespace = (...args: string[]) => ask('-n', namespace, ...args);
  await inNamespace('patch', 'pvc', 'data', '-p', '{"spec":{"resources":{"requests":{"storage":"32Mi"}}}}');
  const reasons = async () => (await inNamespace('get', 'events', '-o', 'jsonpath={.items[*].reason}')).split(' ');
  await eventually(async () =>
    expect(await reasons()).toEqual(
      expect.arrayContaining(['ExternalExpanding', 'Resizing', 'FileSystemResizeRequired']),
    ),
  );
  // The kubelet would look within a minute; a pod that changes is looked at at once.
  await inNamespace('annotate', 'pod', 'writer', 'grows=yes');
  await eventually(async () => {
    const { status } = await askJson<PersistentVolumeClaim>('-n', namespace, 'get', 'pvc', 'data');
    expect(status).toMatchObject({ capacity: { storage: '32Mi' }, allocatedResources: { storage: '32Mi' } });
    expect(status?.conditions ?? []).toEqual([]);
    expect(status?.allocatedResourceStatuses).toBeUndefined();
  }, 120_000);
  await eventually(async () => expect(await reasons()).toContain('FileSystemResizeSuccessful'));
  expect(await ask('get', 'pv', volume, '-o', 'jsonpath={.spec.capacity.storage}')).toBe('32Mi');
}

test('a driver that publishes its capacity says how much room each node has for its classes', async () => {
  const { items } = await eventually(async () => {
    const found = await askJson<{ items: CSIStorageCapacity[] }>('-n', 'kube-system', 'get', 'csistoragecapacities');
    expect(found.items).toHaveLength((await ask('get', 'nodes', '-o', 'name')).split('\n').length);
    return found;
  });
  for (const { capacity, storageClassName, nodeTopology } of items) {
    expect({ capacity, storageClassName }).toEqual({
      capacity: expect.stringMatching(/^\d+Gi$/),
      storageClassName: 'csi-hostpath',
    });
    expect(Object.keys(nodeTopology?.matchLabels ?? {})).toEqual(['topology.hostpath.csi.naru.dev/node']);
  }
});

test('a driver that runs as a daemon set makes a volume for a claim, which is attached to a node, outlives its pod and goes with the claim', async () => {
  await withNamespace('csi', async namespace => {
    const nodes = (await ask('get', 'nodes', '-o', 'name')).split('\n').length;
    await eventually(async () => {
      const { items } = await askJson<{ items: CSINode[] }>('get', 'csinodes');
      expect(items.filter(({ spec }) => spec.drivers.length > 0)).toHaveLength(nodes);
    });
    await kubectl(['-n', namespace, 'apply', '-f', '-'], { input: workload });
    await kubectl(['-n', namespace, 'wait', '--for=condition=Ready', 'pod/writer', '--timeout=120s']);
    const claim = await askJson<PersistentVolumeClaim>('-n', namespace, 'get', 'pvc', 'data');
    expect(claim.status?.phase).toBe('Bound');
    const volume = await askJson<PersistentVolume>('get', 'pv', claim.spec?.volumeName ?? '');
    expect(volume.spec?.csi).toMatchObject({ driver: 'hostpath.csi.naru.dev', volumeHandle: volume.metadata?.name });

    // The controller asked for its attachment, the driver did it, and the kubelet waited for it.
    const name = volume.metadata?.name ?? '';
    const attachments = async () =>
      (await askJson<{ items: VolumeAttachment[] }>('get', 'volumeattachments')).items.filter(
        ({ spec }) => spec.source.persistentVolumeName === name,
      );
    const [attachment] = await attachments();
    expect(attachment?.status).toMatchObject({
      attached: true,
      attachmentMetadata: { directory: `/var/lib/csi-hostpath/${name}` },
    });
    const unique = `kubernetes.io/csi/hostpath.csi.naru.dev^${name}`;
    await eventually(async () => {
      const { status } = await askJson<Node>('get', 'node', attachment?.spec.nodeName ?? '');
      expect(status?.volumesAttached).toEqual([{ name: unique, devicePath: '' }]);
      expect(status?.volumesInUse).toEqual([unique]);
    });

    await grows(namespace, name);
    // A second pod finds what the first one wrote: on the same node, because the volume is there.
    const first = await askJson<Pod>('-n', namespace, 'get', 'pod', 'writer');
    await kubectl(['-n', namespace, 'delete', 'pod', 'writer']);
    const second = workload
      .replaceAll('writer', 'reader')
      .replace('echo written > /data/file && ', '')
      .replace('16Mi', '32Mi');
    await kubectl(['-n', namespace, 'apply', '-f', '-'], { input: second });
    await kubectl(['-n', namespace, 'wait', '--for=condition=Ready', 'pod/reader', '--timeout=120s']);
    const reader = await askJson<Pod>('-n', namespace, 'get', 'pod', 'reader');
    expect(reader.spec?.nodeName).toBe(first.spec?.nodeName);
    expect(await ask('-n', namespace, 'exec', 'reader', '--', 'cat', '/data/file')).toBe('written');

    await kubectl(['-n', namespace, 'delete', 'pod/reader', 'pvc/data', '--timeout=120s']);
    await eventually(async () => {
      const { stderr } = await kubectl(['get', 'pv', volume.metadata?.name ?? ''], { anyCode: true });
      expect(stderr).toMatch(/not found/);
    });
    await eventually(async () => expect(await attachments()).toEqual([]));
  });
});
