import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import {
  coreEvents,
  csiDrivers,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  type PersistentVolumeClaim,
} from '@naru/api';
import { eventually } from '@naru/testing';
import type { Kubelet } from '../kubelet';
import type { Summary } from '../stats/summary-types';
import { createBoundClaim } from './bound-claim';
import { ExampleDriver, driverName } from './example-driver';
import { TestNode, forever, nodeName, shell, whyNot } from './test-node';

const skipped = whyNot();
const withRoot = skipped ? describe.skip : describe;
if (skipped) process.stdout.write(`CSI tests are skipped: ${skipped}\n`);

const mi = 1 << 20;

withRoot('CSI volumes on a real runtime', () => {
  let node: TestNode;
  let kubelet: Kubelet;
  let driver: ExampleDriver;
  const loops: string[] = [];

  beforeAll(async () => {
    ExampleDriver.build();
    node = await TestNode.create();
    await fs.writeFile(node.file('config.yaml'), configuration);
    kubelet = await node.startKubelet([`--config=${node.file('config.yaml')}`]);
    await eventually(() => node.api.get(nodes, { name: nodeName }));
    node.api.seed(csiDrivers, { metadata: { name: driverName }, spec: { attachRequired: false } });
    driver = new ExampleDriver(node);
    await driver.start();
  });

  afterAll(async () => {
    await driver?.stop();
    await node?.close();
    for (const loop of loops) execFileSync('losetup', ['-d', loop]);
    const left = execFileSync('losetup', ['--list', '--noheadings', '--output', 'NAME,BACK-FILE']).toString();
    for (const [device = '', file = ''] of left.split('\n').map(line => line.split(/\s+/)))
      if (node && file.startsWith(node.file(''))) execFileSync('losetup', ['-d', device]);
  });

  const key = (name: string) => ({ name, namespace: 'default' });
  const claimOf = (name: string) => node.api.get(persistentVolumeClaims, key(name));
  const csi = (volumeHandle: string) => ({ csi: { driver: driverName, volumeHandle } });
  const using = (claimName: string) => ({
    containers: [shell(forever, { volumeMounts: [{ name: 'data', mountPath: '/data' }] })],
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
  });
  const asDevice = (claimName: string) => ({
    containers: [shell(forever, { volumeDevices: [{ name: 'data', devicePath: '/dev/mine' }] })],
    volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
  });

  /** What a controller leaves when it has grown a volume: the rest is the kubelet's. */
  async function grow(name: string, storage: string, status: PersistentVolumeClaim['status'] = {}): Promise<void> {
    const capacity = { storage };
    await node.api.patch(persistentVolumes, { name: `pv-${name}` }, { type: 'merge', body: { spec: { capacity } } });
    const pending = {
      allocatedResources: capacity,
      allocatedResourceStatuses: { storage: 'NodeResizePending' },
      conditions: [{ type: 'FileSystemResizePending', status: 'True' }],
      ...status,
    };
    const body = { status: pending };
    await node.api.patch(persistentVolumeClaims, key(name), { type: 'merge', body }, { subresource: 'status' });
  }

  const untilGrown = (name: string, storage: string) =>
    eventually(async () => {
      const { status } = await claimOf(name);
      expect(status).toMatchObject({ capacity: { storage }, conditions: [] });
      expect(status?.allocatedResourceStatuses).toBeUndefined();
    });

  async function untilSaid(about: string, reason: string, message: string): Promise<void> {
    await eventually(async () => {
      const { items } = await node.api.list(coreEvents, { namespace: 'default' });
      const said = items.filter(({ involvedObject }) => involvedObject.name === about);
      expect(said).toContainEqual(expect.objectContaining({ reason, message }));
    });
  }

  it('grow while a pod uses them, and on the way to their next pod', async () => {
    await fs.mkdir(node.file('csi/grows'), { recursive: true });
    await createBoundClaim(node.api, 'grows', csi('grows'));
    await node.create('online', using('grows'));
    await node.untilReady('online');
    await grow('grows', '2Gi');
    await untilGrown('grows', '2Gi');
    await driver.said(`expanded grows to ${2048 * mi}`);
    const message = `MountVolume.NodeExpandVolume succeeded for volume "pv-grows" ${nodeName}`;
    await untilSaid('online', 'FileSystemResizeSuccessful', message);
    await untilSaid('grows', 'FileSystemResizeSuccessful', message);
    await node.delete('online');

    // Nobody uses it: it grows when somebody does.
    await grow('grows', '3Gi');
    await node.create('offline', using('grows'));
    await node.untilReady('offline');
    await untilGrown('grows', '3Gi');
    await driver.said(`expanded grows to ${3072 * mi}`);
    await node.delete('offline');
  });

  it('that cannot grow say why, and what is hopeless is not tried again', async () => {
    await fs.mkdir(node.file('csi/stays'), { recursive: true });
    await fs.mkdir(node.file('csi/busy'), { recursive: true });
    await createBoundClaim(node.api, 'stays', csi('stays'));
    await createBoundClaim(node.api, 'busy', csi('busy'));
    await Promise.all(['stays', 'busy'].map(name => node.create(name, using(name))));
    await Promise.all(['stays', 'busy'].map(name => node.untilReady(name)));
    await fs.writeFile(node.file('csi/.stays.refusal'), 'OUT_OF_RANGE too large');
    await fs.writeFile(node.file('csi/.busy.refusal'), 'FAILED_PRECONDITION volume is in use');
    await Promise.all(['stays', 'busy'].map(name => grow(name, '5Gi')));
    const refusal = 'Expander.NodeExpand failed to expand the volume: rpc error: code = OutOfRange desc = too large';
    await untilSaid(
      'stays',
      'VolumeResizeFailed',
      `NodeExpandVolume.NodeExpandVolume failed for volume "pv-stays" : ${refusal}`,
    );
    await eventually(async () =>
      expect((await claimOf('stays')).status).toMatchObject({
        capacity: { storage: '1Gi' },
        allocatedResourceStatuses: { storage: 'NodeResizeInfeasible' },
        conditions: [
          { type: 'FileSystemResizePending' },
          { type: 'NodeResizeError', status: 'True', message: `failed to expand pvc with ${refusal}` },
        ],
      }),
    );
    // Not while it is in use: the next pod gets it larger.
    await eventually(async () =>
      expect((await claimOf('busy')).status?.conditions).toContainEqual(
        expect.objectContaining({ type: 'NodeResizeError', message: expect.stringContaining('volume is in use') }),
      ),
    );
    await fs.rm(node.file('csi/.busy.refusal'));
    await node.delete('busy');
    await node.create('busy-again', using('busy'));
    await node.untilReady('busy-again');
    await untilGrown('busy', '5Gi');
    await Promise.all(['stays', 'busy-again'].map(name => node.delete(name)));
  });

  it('are measured by their driver, by the names of pod and claim', async () => {
    await fs.mkdir(node.file('csi/measured'), { recursive: true });
    await createBoundClaim(node.api, 'measured', csi('measured'));
    await node.create('measured', using('measured'));
    const { metadata } = await node.untilReady('measured');
    const disk = await fs.statfs(node.file('csi'));
    const capacityBytes = disk.blocks * disk.bsize;
    await eventually(async () => {
      const { pods } = JSON.parse((await node.fetch(kubelet, '/stats/summary')).text) as Summary;
      const stats = pods.find(({ podRef }) => podRef.uid === metadata.uid);
      const volume = stats?.volume?.find(({ name }) => name === 'data');
      expect(volume).toMatchObject({
        pvcRef: { name: 'measured', namespace: 'default' },
        capacityBytes,
        inodes: disk.files,
      });
    });
    const labels = '{namespace="default",persistentvolumeclaim="measured"}';
    await eventually(async () => {
      const { text } = await node.fetch(kubelet, '/metrics');
      expect(text).toContain(`kubelet_volume_stats_capacity_bytes${labels} ${capacityBytes}`);
      for (const figure of ['available_bytes', 'used_bytes', 'inodes', 'inodes_free', 'inodes_used'])
        expect(text).toMatch(new RegExp(`^kubelet_volume_stats_${figure}${labels} \\d`, 'm'));
    });
    await node.delete('measured');
    await eventually(async () =>
      expect((await node.fetch(kubelet, '/metrics')).text).not.toContain('persistentvolumeclaim="measured"'),
    );
  });

  it('and local ones are handed to containers as block devices', async () => {
    const block = { volumeMode: 'Block' };
    const files = ['local.img', 'csi/block'].map(name => node.file(name));
    for (const file of files) {
      await fs.writeFile(file, '');
      await fs.truncate(file, mi);
    }
    const loop = execFileSync('losetup', ['--find', '--show', files[0] as string])
      .toString()
      .trim();
    loops.push(loop);
    await createBoundClaim(node.api, 'local-block', { ...block, local: { path: loop } });
    await createBoundClaim(node.api, 'csi-block', { ...block, ...csi('block') });
    await createBoundClaim(node.api, 'no-device', { ...block, local: { path: node.file('csi') } });
    for (const name of ['local-block', 'csi-block', 'no-device']) await node.create(name, asDevice(name));
    await node.create('as-directory', using('csi-block'));
    await Promise.all(['local-block', 'csi-block'].map(name => node.untilReady(name)));
    for (const [index, name] of ['local-block', 'csi-block'].entries()) {
      const script = `test -b /dev/mine && echo ${name} | dd of=/dev/mine conv=notrunc,fsync 2>/dev/null`;
      expect(await node.exec(name, 'sh', '-c', `${script}; head -c ${name.length} /dev/mine`)).toBe(name);
      expect(await fs.readFile(files[index] as string, 'utf8')).toMatch(new RegExp(`^${name}\n`));
    }
    await untilSaid(
      'no-device',
      'FailedMount',
      `MountVolume.SetUp failed for volume "pv-no-device" : path "${node.file('csi')}" is not a block device`,
    );
    await eventually(async () =>
      expect((await node.events('as-directory')).map(({ message }) => message)).toContainEqual(
        expect.stringContaining('volume data has volumeMode Block, but is specified in volumeMounts'),
      ),
    );
    // The device grows under the container.
    await fs.truncate(files[1] as string, 4 * mi);
    await grow('csi-block', '4Gi');
    await untilGrown('csi-block', '4Gi');
    expect(await node.exec('csi-block', 'sh', '-c', 'wc -c < /dev/mine')).toBe(String(4 * mi));
    await Promise.all(['local-block', 'csi-block', 'no-device', 'as-directory'].map(name => node.delete(name)));
    // The kernel lets a device go with the last who has it open, whoever that is.
    await eventually(() =>
      expect(execFileSync('losetup', ['-j', path.resolve(files[1] as string)]).toString()).toBe(''),
    );
    expect(node.mountPoints().filter(place => place.includes('volumeDevices'))).toEqual([]);
  });
});

const configuration = `
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
volumeStatsAggPeriod: 1s
`;
