import { existsSync } from 'node:fs';
import type { PersistentVolume, Pod } from '@naru/api';
import { eventually } from '@naru/testing';
import { apply, ask, askJson, createNamespace, kubectl } from './cluster';

const namespace = 'storage';
const inNamespace = (...args: string[]) => ask('-n', namespace, ...args);

/** A set of pods with a claim each, of the class that the cluster has by default. */
const set = (replicas: number) => `
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db, namespace: ${namespace} }
spec:
  replicas: ${replicas}
  serviceName: db
  podManagementPolicy: Parallel
  persistentVolumeClaimRetentionPolicy: { whenDeleted: Delete, whenScaled: Retain }
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: naru.dev/web:v1
          command: [sh, -c, 'echo "$HOSTNAME" >> /data/starts; sleep 3600']
          volumeMounts: [{ name: data, mountPath: /data }]
  volumeClaimTemplates:
    - metadata: { name: data }
      spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 100Mi } } }
`;

const rolledOut = () => kubectl(['-n', namespace, 'rollout', 'status', 'statefulset/db', '--timeout=120s']);
/** Which pods have written to the volume: each does when it starts. */
const expectStarts = (pod: string, wanted: string[]) =>
  eventually(async () =>
    expect((await inNamespace('exec', pod, '--', 'cat', '/data/starts')).split('\n')).toEqual(wanted),
  );

beforeAll(() => createNamespace(namespace));
afterAll(async () => {
  await kubectl(['delete', 'namespace', namespace, '--ignore-not-found', '--wait=false']);
  await kubectl(['delete', 'pv', 'by-hand', '--ignore-not-found', '--wait=false']);
});

test('claims get directories of the nodes of their pods, keep their data over pods, and leave nothing behind', async () => {
  await apply(set(2));
  await rolledOut();
  expect(await ask('get', 'storageclass')).toContain('local-path (default)');
  const volumes = new Map<string, PersistentVolume>();
  for (const name of ['db-0', 'db-1']) {
    const volumeName = await inNamespace('get', 'pvc', `data-${name}`, '-o', 'jsonpath={.spec.volumeName}');
    const volume = await eventually(async () => {
      const found = await askJson<PersistentVolume>('get', 'pv', volumeName);
      expect(found.status?.phase).toBe('Bound');
      return found;
    });
    volumes.set(name, volume);
    await expectStarts(name, [name]);
  }
  const before = await askJson<Pod>('-n', namespace, 'get', 'pod', 'db-0');
  await inNamespace('delete', 'pod', 'db-0');
  // The set may not have counted it out yet: its status tells nothing of the pod that comes.
  await eventually(async () => {
    const after = await askJson<Pod>('-n', namespace, 'get', 'pod', 'db-0');
    expect(after.metadata?.uid).not.toBe(before.metadata?.uid);
    expect(after.spec?.nodeName).toBe(before.spec?.nodeName);
  });
  await rolledOut();
  await expectStarts('db-0', ['db-0', 'db-0']);

  await inNamespace('patch', 'pvc', 'data-db-0', '-p', '{"spec":{"resources":{"requests":{"storage":"200Mi"}}}}');
  await eventually(async () =>
    expect(await inNamespace('get', 'pvc', 'data-db-0', '-o', 'jsonpath={.status.capacity.storage}')).toBe('200Mi'),
  );

  // Scaled away and back: the policy retains the claim, and with it the data.
  await inNamespace('scale', 'statefulset/db', '--replicas=1');
  await inNamespace('wait', '--for=delete', 'pod/db-1', '--timeout=120s');
  await inNamespace('scale', 'statefulset/db', '--replicas=2');
  await rolledOut();
  await expectStarts('db-1', ['db-1', 'db-1']);

  // A claim in use stays until its pod is gone; the set takes its claims along.
  await inNamespace('delete', 'pvc', 'data-db-1', '--wait=false');
  expect(await inNamespace('get', 'pvc', 'data-db-1', '--no-headers')).toContain('Terminating');
  await inNamespace('delete', 'statefulset', 'db');
  await eventually(async () => {
    expect(await inNamespace('get', 'pvc', '-o', 'name')).toBe('');
    const left = await ask('get', 'pv', '-o', 'jsonpath={.items[*].metadata.name}');
    for (const { metadata, spec } of volumes.values()) {
      expect(left).not.toContain(metadata?.name);
      // The nodes of this cluster share the machine's file system.
      expect(existsSync(spec?.hostPath?.path ?? '')).toBe(false);
    }
  });
});

test('a claim waits for its first pod, and a pod for its claim', async () => {
  const claim = (name: string, storageClass: string) => `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: { name: ${name}, namespace: ${namespace} }
spec: { accessModes: [ReadWriteOnce], storageClassName: ${storageClass}, resources: { requests: { storage: 1Mi } } }
`;
  const pod = (name: string, volume: string) => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  terminationGracePeriodSeconds: 1
  containers: [{ name: main, image: 'naru.dev/web:v1', command: [sleep, '3600'], volumeMounts: [{ name: data, mountPath: /data }] }]
  volumes: [{ name: data, ${volume} }]
`;
  await apply(claim('early', 'local-path') + '---' + claim('static', '""'));
  await apply(pod('waits', 'persistentVolumeClaim: { claimName: static }'));
  await eventually(async () => {
    expect(await inNamespace('describe', 'pvc', 'early')).toContain('waiting for first consumer to be created');
    expect(await inNamespace('describe', 'pod', 'waits')).toContain('pod has unbound immediate PersistentVolumeClaims');
  });
  expect(await inNamespace('get', 'pvc', 'early', '-o', 'jsonpath={.status.phase}')).toBe('Pending');
  await apply(`
apiVersion: v1
kind: PersistentVolume
metadata: { name: by-hand }
spec:
  capacity: { storage: 5Mi }
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  hostPath: { path: /tmp/naru-e2e-by-hand, type: DirectoryOrCreate }
`);
  await kubectl(['-n', namespace, 'wait', '--for=condition=Ready', 'pod/waits', '--timeout=120s']);
  await apply(pod('takes', 'persistentVolumeClaim: { claimName: early }'));
  const template = 'spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Mi } } }';
  await apply(pod('scratch', `ephemeral: { volumeClaimTemplate: { ${template} } }`));
  for (const name of ['takes', 'scratch'])
    await kubectl(['-n', namespace, 'wait', '--for=condition=Ready', `pod/${name}`, '--timeout=120s']);
  await inNamespace('delete', 'pod', 'waits', 'takes', 'scratch');
  await inNamespace('delete', 'pvc', 'early', 'static');
  await eventually(async () => {
    expect(await ask('get', 'pv', 'by-hand', '-o', 'jsonpath={.status.phase}')).toBe('Released');
    // The claim of an ephemeral volume goes with its pod.
    expect(await inNamespace('get', 'pvc', '-o', 'name')).toBe('');
  });
});
