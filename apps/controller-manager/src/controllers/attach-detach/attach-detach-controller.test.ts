import {
  attachedVolumeName,
  attachmentName,
  csiDrivers,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  pods,
  volumeAttachments,
  type PersistentVolume,
} from '@naru/api';
import { eventually, type MemoryObjects, type ProcessEnvironment } from '@naru/testing';
import { makeNode, makePod, startControllers } from '../../fixtures';
import { convergenceSuite, follow } from '../../simulation';
import { attachDetachController } from './attach-detach-controller';

const driver = 'disk.example.com';
const finalizer = `external-attacher/${driver}`;
const unique = (handle: string) => attachedVolumeName({ driver, handle });
const attachment = (handle: string, nodeName: string) => ({ name: attachmentName({ driver, handle }, nodeName) });
const managed = { 'volumes.kubernetes.io/controller-managed-attach-detach': 'true' };
const worker = (name: string) => makeNode(name, { metadata: { name, annotations: managed } });
const user = (name: string, nodeName: string, claimName = 'data') =>
  makePod(name, { nodeName, spec: { volumes: [{ name: 'v', persistentVolumeClaim: { claimName } }] } });

/** A claim bound to its volume. */
function seedVolume(api: MemoryObjects, name: string, spec: Partial<PersistentVolume['spec']> = {}): void {
  const claim = api.seed(persistentVolumeClaims, {
    metadata: { namespace: 'default', name },
    spec: { volumeName: `pv-${name}` },
    status: { phase: 'Bound' },
  });
  api.seed(persistentVolumes, {
    metadata: { name: `pv-${name}` },
    spec: {
      accessModes: ['ReadWriteOnce'],
      csi: { driver, volumeHandle: name },
      claimRef: { namespace: 'default', name, uid: claim.metadata.uid },
      ...spec,
    },
  });
}

/** The attacher of the driver: attaches what it is told to, and lets go what is deleted. */
function attacher(environment: ProcessEnvironment): void {
  const { client } = environment;
  follow(environment, volumeAttachments, async object => {
    const { name, deletionTimestamp, finalizers } = object.metadata;
    if (deletionTimestamp) {
      if (finalizers?.length) await client.patch(volumeAttachments, { name }, merge({ metadata: { finalizers: [] } }));
    } else if (!object.status?.attached) {
      await client.patch(volumeAttachments, { name }, merge({ metadata: { finalizers: [finalizer] } }));
      await client.patch(volumeAttachments, { name }, merge({ status: { attached: true } }), { subresource: 'status' });
    }
  });
}

const merge = (body: object) => ({ type: 'merge' as const, body });
const setInUse = (client: ProcessEnvironment['client'], name: string, volumesInUse: string[]) =>
  client.patch(nodes, { name }, merge({ status: { volumesInUse } }), { subresource: 'status' });

async function startCluster() {
  const cluster = await startControllers([attachDetachController]);
  const { api, events } = cluster;
  for (const name of ['n1', 'n2']) api.seed(nodes, worker(name));
  seedVolume(api, 'data');
  const attached = async (name: string) => (await api.get(nodes, { name })).status?.volumesAttached ?? [];
  const names = async () => (await api.list(volumeAttachments)).items.map(({ metadata }) => metadata.name);
  return { ...cluster, api, events, attached, names };
}

const attach = (api: MemoryObjects, handle: string, nodeName: string) =>
  api.patch(volumeAttachments, attachment(handle, nodeName), merge({ status: { attached: true } }), {
    subresource: 'status',
  });

test('a volume of a pod is attached to its node, and told to the kubelet when it is', async () => {
  const { api, events, attached, stop } = await startCluster();
  api.seed(pods, user('p', 'n1'));
  await eventually(async () =>
    expect((await api.get(volumeAttachments, attachment('data', 'n1'))).spec).toEqual({
      attacher: driver,
      nodeName: 'n1',
      source: { persistentVolumeName: 'pv-data' },
    }),
  );
  const attachError = { message: 'no free slot' };
  await api.patch(volumeAttachments, attachment('data', 'n1'), merge({ status: { attached: false, attachError } }));
  await eventually(() =>
    expect(events).toEqual([
      {
        about: 'p',
        reason: 'FailedAttachVolume',
        message: 'AttachVolume.Attach failed for volume "pv-data" : no free slot',
      },
    ]),
  );
  expect(await attached('n1')).toEqual([]);
  await attach(api, 'data', 'n1');
  await eventually(async () => expect(await attached('n1')).toEqual([{ name: unique('data'), devicePath: '' }]));
  await eventually(() => expect(events[1]?.reason).toBe('SuccessfulAttachVolume'));
  await stop();
});

test('a volume that the kubelet has in use is not detached, and one for a single node not attached to a second', async () => {
  const { api, events, attached, names, stop } = await startCluster();
  api.seed(pods, user('p', 'n1'));
  await eventually(async () => expect(await names()).toHaveLength(1));
  await attach(api, 'data', 'n1');
  await setInUse(api, 'n1', [unique('data')]);
  await eventually(async () => expect(await attached('n1')).toHaveLength(1));
  api.seed(pods, user('q', 'n2'));
  const message = 'Multi-Attach error for volume "pv-data" Volume is already used by pod(s) p';
  await eventually(() => expect(events).toContainEqual({ about: 'q', reason: 'FailedAttachVolume', message }));
  await api.delete(pods, { namespace: 'default', name: 'p' }, { gracePeriodSeconds: 0 });
  api.seed(pods, user('r', 'n2'));
  const free = `Multi-Attach error for volume "pv-data" Volume is already exclusively attached to one node and can't be attached to another`;
  await eventually(() => expect(events.map(event => event.message)).toContain(free));
  expect(await names()).toEqual([attachment('data', 'n1').name]);
  await setInUse(api, 'n1', []);
  await eventually(async () => expect(await names()).toEqual([attachment('data', 'n2').name]));
  expect(await attached('n1')).toEqual([]);
  await stop();
});

test('a volume in use goes by force from a node that is out of service', async () => {
  const { api, names, stop } = await startCluster();
  const { metadata } = await api.get(nodes, { name: 'n1' });
  await setInUse(api, 'n1', [unique('data')]);
  await api.create(volumeAttachments, {
    metadata: attachment('data', 'n1'),
    spec: { attacher: driver, nodeName: 'n1', source: { persistentVolumeName: 'pv-data' } },
    status: { attached: true },
  });
  const reported = async () => (await api.get(nodes, { name: metadata.name })).status?.volumesAttached;
  await eventually(async () => expect(await reported()).toHaveLength(1));
  const taints = [{ key: 'node.kubernetes.io/out-of-service', effect: 'NoExecute' }];
  await api.patch(nodes, { name: 'n1' }, merge({ spec: { taints } }));
  await eventually(async () => expect(await names()).toEqual([]));
  expect(await reported()).toEqual([]);
  await stop();
});

test('a driver that needs no attaching gets no VolumeAttachment', async () => {
  const { api, names, stop } = await startCluster();
  api.seed(csiDrivers, { metadata: { name: 'dir.example.com' }, spec: { attachRequired: false } });
  seedVolume(api, 'plain', { csi: { driver: 'dir.example.com', volumeHandle: 'plain' } });
  api.seed(pods, user('plain', 'n1', 'plain'));
  api.seed(pods, user('other', 'n1'));
  await eventually(async () => expect(await names()).toEqual([attachment('data', 'n1').name]));
  await stop();
});

// The node that keeps its volume in use is silent: after six minutes the volume goes by force to where it is wanted.
convergenceSuite([attachDetachController], {
  objects(api) {
    api.seed(nodes, makeNode('n1', { metadata: { name: 'n1', annotations: managed } }, false));
    api.seed(nodes, worker('n2'));
    for (const name of ['data', 'shared']) seedVolume(api, name);
    api.seed(pods, user('p', 'n1'));
    api.seed(pods, user('s', 'n2', 'shared'));
  },
  others: [attacher],
  steps: [
    async client => {
      const { status } = await client.get(nodes, { name: 'n1' });
      if (!status?.volumesAttached?.length) throw new Error('not attached yet');
      await setInUse(client, 'n1', [unique('data')]);
    },
    client => client.delete(pods, { namespace: 'default', name: 'p' }, { gracePeriodSeconds: 0 }),
    client => client.create(pods, user('q', 'n2')),
  ],
  async expectEnd(api) {
    const names = (await api.list(volumeAttachments)).items.map(({ metadata }) => metadata.name).sort();
    expect(names).toEqual(['data', 'shared'].map(name => attachment(name, 'n2').name).sort());
    const on = async (name: string) =>
      (await api.get(nodes, { name })).status?.volumesAttached?.map(entry => entry.name).sort() ?? [];
    expect(await on('n1')).toEqual([]);
    expect(await on('n2')).toEqual(['data', 'shared'].map(unique));
  },
  async always(api) {
    const exclusive = (await api.list(volumeAttachments)).items.filter(
      ({ spec }) => spec.source.persistentVolumeName === 'pv-data',
    );
    expect(exclusive.length).toBeLessThan(2);
  },
});
