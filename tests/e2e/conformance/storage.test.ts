import type { KubeObject, Node, PersistentVolume, PersistentVolumeClaim, Pod } from '@naru/api';
import { ask, inNamespace, must, until, untilGone, type Loose } from '../rest';
import { api } from './api';
import { idlePod } from './web-pod';

// Upstream's conformance tests of volumes, claims and attachments, with all controllers at work.
const volumes = '/api/v1/persistentvolumes';

interface Bound {
  volume: string;
  claim: string;
}

/** A volume and a claim that are made for each other, and bound. */
async function bound(path: string, name: string, storageClassName: string, labels: object = {}): Promise<Bound> {
  const accessModes = ['ReadWriteOnce'];
  await must('POST', volumes, {
    metadata: { name, labels },
    spec: {
      capacity: { storage: '500Mi' },
      accessModes,
      persistentVolumeReclaimPolicy: 'Retain',
      storageClassName,
      hostPath: { path: `/tmp/naru-e2e-${name}` },
    },
  });
  await must('POST', `${path}/persistentvolumeclaims`, {
    metadata: { name, labels },
    spec: { accessModes, storageClassName, resources: { requests: { storage: '250Mi' } } },
  });
  const at = { volume: `${volumes}/${name}`, claim: `${path}/persistentvolumeclaims/${name}` };
  for (const url of Object.values(at)) await until(url, ({ status }) => expect(status.phase).toBe('Bound'));
  return at;
}

const count = async (url: string): Promise<number> => (await must<{ items: object[] }>('GET', url)).items.length;

test.concurrent('a volume and its claim are found, changed and deleted, one by one and by their label', async () => {
  await inNamespace('pv-life', async (path, namespace) => {
    const label = { 'e2e-pv-pool': namespace };
    const query = `labelSelector=e2e-pv-pool%3D${namespace}`;
    const first = await bound(path, `${namespace}-1`, namespace, label);
    expect(await count(`${volumes}?${query}`)).toBe(1);
    expect(await count(`${path}/persistentvolumeclaims`)).toBe(1);
    for (const url of Object.values(first)) {
      await must('PATCH', url, { metadata: { labels: { patched: 'yes' } } }, 'strategic');
      expect((await must('GET', url))['metadata'].labels).toMatchObject({ ...label, patched: 'yes' });
    }
    await must('DELETE', first.claim);
    await untilGone(first.claim);
    await must('DELETE', first.volume);
    await untilGone(first.volume);

    const second = await bound(path, `${namespace}-2`, namespace, label);
    for (const url of Object.values(second)) {
      const updated = await api.change<KubeObject>(url, ({ metadata }) => void (metadata.labels!['updated'] = 'yes'));
      expect(updated.metadata.labels).toMatchObject({ updated: 'yes' });
    }
    expect(await count(`/api/v1/persistentvolumeclaims?${query}`)).toBe(1);
    await must('DELETE', `${path}/persistentvolumeclaims?${query}`);
    await untilGone(second.claim);
    await must('DELETE', `${volumes}?${query}`);
    await untilGone(second.volume);
  });
});

test.concurrent('the status of a bound volume and its claim keeps what is written to it', async () => {
  await inNamespace('pv-status', async (path, namespace) => {
    const { volume, claim } = await bound(path, namespace, namespace);
    try {
      const condition = (type: string) => ({ type, status: 'True', reason: 'E2E', message: 'Set from an e2e test' });
      const has = async (type: string): Promise<void> => {
        const { status } = await must('GET', `${claim}/status`);
        expect(status).toMatchObject({ phase: 'Bound' });
        expect(status.conditions).toContainEqual(expect.objectContaining(condition(type)));
      };
      await must('PATCH', `${claim}/status`, { status: { conditions: [condition('StatusPatched')] } });
      await has('StatusPatched');
      const update = ({ status }: PersistentVolumeClaim): void =>
        void (status!.conditions = [...(status!.conditions ?? []), condition('StatusUpdated')]);
      await api.change<PersistentVolumeClaim>(claim, update, '/status');
      await has('StatusUpdated');
      const patch = { status: { message: 'StatusPatched', reason: 'E2E patchStatus' } };
      expect(await must('PATCH', `${volume}/status`, patch)).toMatchObject(patch);
      const written = { message: 'StatusUpdated', reason: 'E2E updateStatus' };
      await api.change<PersistentVolume>(volume, object => Object.assign(object.status!, written), '/status');
      expect(await must('GET', `${volume}/status`)).toMatchObject({ status: { ...written, phase: 'Bound' } });
    } finally {
      await ask('DELETE', claim);
      await ask('DELETE', volume);
    }
  });
});

test.concurrent('attachments that somebody makes are kept, changed and deleted, with their status', async () => {
  const attachments = '/apis/storage.k8s.io/v1/volumeattachments';
  const [node] = (await must<{ items: Node[] }>('GET', '/api/v1/nodes')).items;
  const labels = { 'va-e2e': 'life' };
  const spec = (volume: string): object => ({
    attacher: 'e2e-test.storage.k8s.io',
    source: { persistentVolumeName: volume },
    nodeName: node!.metadata!.name,
  });
  const names = ['va-e2e-1', 'va-e2e-2', 'va-e2e-3'];
  for (const name of names) await must('POST', attachments, { metadata: { name, labels }, spec: spec(`pv-${name}`) });
  const url = `${attachments}/${names[0]}`;
  await must('PATCH', url, { metadata: { labels: { [names[0]!]: 'patched' } } });
  expect((await must('GET', url))['metadata'].labels).toMatchObject({ ...labels, [names[0]!]: 'patched' });
  const patched = await must('PATCH', `${url}/status`, { status: { attached: true } });
  expect(patched['status']).toEqual({ attached: true });
  const updated = await api.change<KubeObject & Loose>(url, ({ status }) => void (status.attached = false), '/status');
  expect(updated['status']).toEqual({ attached: false });
  expect(await count(`${attachments}?labelSelector=va-e2e%3Dlife`)).toBe(3);
  await must('DELETE', url);
  await untilGone(url);
  await must('DELETE', `${attachments}?labelSelector=va-e2e%3Dlife`);
  expect(await count(`${attachments}?labelSelector=va-e2e%3Dlife`)).toBe(0);
});

test.concurrent(
  'a pod with an inline volume of a driver that no node has is what was asked for, and goes',
  async () => {
    const drivers = '/apis/storage.k8s.io/v1/csidrivers';
    const driver = 'inline-driver-e2e.example.com';
    await must('POST', drivers, { metadata: { name: driver }, spec: { volumeLifecycleModes: ['Ephemeral'] } });
    try {
      await inNamespace('csi-inline', async path => {
        const volume = { name: 'pod-csi-inline', csi: { driver, readOnly: true } };
        const url = `${path}/pods/pod-csi-inline`;
        const mounts = { volumeMounts: [{ name: volume.name, mountPath: '/mnt' }] };
        await must('POST', `${path}/pods`, idlePod('pod-csi-inline', { volumes: [volume] }, mounts));
        const { spec } = await until<Pod>(url, pod => expect(pod.spec?.nodeName).toBeDefined());
        expect(spec?.volumes).toContainEqual(volume);
        await must('DELETE', url);
        await untilGone(url);
      });
    } finally {
      await ask('DELETE', `${drivers}/${driver}`);
    }
  },
);
