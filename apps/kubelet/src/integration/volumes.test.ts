import { execFileSync } from 'node:child_process';
import fs from 'node:fs/promises';
import path from 'node:path';
import { attachmentName, csiDrivers, csiNodes, nodes, quantityValue, volumeAttachments } from '@naru/api';
import { eventually } from '@naru/testing';
import type { Kubelet } from '../kubelet';
import { createBoundClaim } from './bound-claim';
import { ExampleDriver, driverName } from './example-driver';
import { TestNode, forever, image, nodeName, shell, whyNot } from './test-node';

const skipped = whyNot();
const withRoot = skipped ? describe.skip : describe;
if (skipped) process.stdout.write(`volume tests are skipped: ${skipped}\n`);

withRoot('volumes on a real runtime', () => {
  let node: TestNode;
  let kubelet: Kubelet;

  beforeAll(async () => {
    node = await TestNode.create();
    kubelet = await node.startKubelet();
    await eventually(() => node.api.get(nodes, { name: nodeName }));
  });

  afterAll(() => node?.close());

  const bound = (
    ...args: Parameters<typeof createBoundClaim> extends [unknown, ...infer R] ? R : never
  ): Promise<void> => createBoundClaim(node.api, ...args);

  const mounting = (...mounts: NonNullable<ReturnType<typeof shell>['volumeMounts']>) =>
    shell(forever, { volumeMounts: mounts });

  const directory = async (name: string): Promise<string> => {
    const made = node.file(name);
    await fs.mkdir(made, { recursive: true });
    return made;
  };

  it('mounts hostPath and local persistent volumes by their claims, and generic ephemeral ones', async () => {
    const [host, local, scratch] = await Promise.all(['host', 'local', 'scratch'].map(directory));
    await fs.writeFile(path.join(local as string, 'file'), 'here', { mode: 0o600 });
    await bound('host', { hostPath: { path: host as string } });
    await bound('local', { local: { path: local as string } });
    const pod = await node.create('claims', {
      securityContext: { fsGroup: 4321, runAsUser: 1000 },
      containers: [
        mounting(
          { name: 'host', mountPath: '/host' },
          { name: 'local', mountPath: '/local', subPathExpr: '.' },
          { name: 'scratch', mountPath: '/scratch', readOnly: true },
        ),
      ],
      volumes: [
        { name: 'host', persistentVolumeClaim: { claimName: 'host' } },
        { name: 'local', persistentVolumeClaim: { claimName: 'local' } },
        { name: 'scratch', ephemeral: { volumeClaimTemplate: { spec: {} } } },
      ],
    });
    const unprocessed =
      'Unable to attach or mount volumes: unmounted volumes=[scratch], unattached volumes=[scratch], failed to process volumes=[scratch]: error processing PVC default/claims-scratch: failed to fetch PVC from API server: ';
    await eventually(async () =>
      expect(await node.events('claims')).toContainEqual({
        reason: 'FailedMount',
        message: expect.stringContaining(unprocessed),
      }),
    );
    await bound('claims-scratch', { local: { path: scratch as string } }, pod);
    await node.untilReady('claims');
    // The group of the volume is the pod's, so its user may write where only root could.
    expect(await node.exec('claims', 'sh', '-c', 'cat /local/file; echo more > /local/new; ls /local')).toBe(
      'herefile\nnew',
    );
    expect(await node.exec('claims', 'touch', '/scratch/x')).toContain('Read-only file system');
    await node.delete('claims');
    expect((await fs.readdir(local as string)).sort()).toEqual(['file', 'new']);
    expect(node.mountPoints().filter(place => place.includes(pod.metadata.uid))).toEqual([]);
  });

  it('makes memory volumes as large as asked, and shows images, sub paths and later mounts', async () => {
    // Below the root directory mounts are shared, whatever the machine does elsewhere.
    const shared = await directory('kubelet/shared');
    await fs.mkdir(path.join(shared, 'inner'));
    await node.create('kinds', {
      containers: [
        shell(forever, {
          env: [{ name: 'WHO', value: 'me' }],
          volumeMounts: [
            { name: 'memory', mountPath: '/memory' },
            { name: 'image', mountPath: '/image' },
            { name: 'image', mountPath: '/tools', subPath: 'bin' },
            { name: 'disk', mountPath: '/mine', subPathExpr: 'users/$(WHO)' },
            { name: 'shared', mountPath: '/shared', mountPropagation: 'HostToContainer' },
          ],
        }),
      ],
      volumes: [
        { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: '3Mi' } },
        { name: 'image', image: { reference: image, pullPolicy: 'IfNotPresent' } },
        { name: 'disk', emptyDir: {} },
        { name: 'shared', hostPath: { path: shared, type: 'Directory' } },
      ],
    });
    await node.untilReady('kinds');
    expect(await node.exec('kinds', 'sh', '-c', 'df -k /memory | tail -1')).toMatch(/^tmpfs +3072 /);
    expect(await node.exec('kinds', 'ls', '/image/bin/busybox', '/tools/busybox')).toBe(
      '/image/bin/busybox\n/tools/busybox',
    );
    expect(await node.exec('kinds', 'touch', '/image/x')).toContain('Read-only file system');
    expect(await node.exec('kinds', 'sh', '-c', 'echo 1 > /mine/file && cat /mine/file')).toBe('1');
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', path.join(shared, 'inner')]);
    try {
      await fs.writeFile(path.join(shared, 'inner/late'), '');
      await eventually(async () => expect(await node.exec('kinds', 'ls', '/shared/inner')).toBe('late'));
    } finally {
      execFileSync('umount', [path.join(shared, 'inner')]);
    }
    await node.delete('kinds');
  });

  describe('of huge pages', () => {
    const file = '/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages';
    let before = '';

    beforeAll(async () => {
      before = await fs.readFile(file, 'utf8');
      // The kernel gives as many as it finds in one piece, and looks anew each time.
      await eventually(async () => {
        await fs.writeFile(file, String(Number(before) + 4));
        expect(Number(await fs.readFile(file, 'utf8'))).toBe(Number(before) + 4);
      });
      await node.stopKubelet(kubelet);
      kubelet = await node.startKubelet();
    });

    // The machine has as many as it had, whatever became of the test.
    afterAll(() => fs.writeFile(file, before));

    it('have the size that the pod asks for, and are free again when it ends', async () => {
      await eventually(async () => {
        const { status } = await node.api.get(nodes, { name: nodeName });
        expect(quantityValue(status?.capacity?.['hugepages-2Mi'] ?? '0')).toBe((Number(before) + 4) << 21);
      });
      const volumes = [{ name: 'huge', emptyDir: { medium: 'HugePages' } }];
      const using = (amounts: Record<string, string>) => ({
        volumes,
        containers: [
          shell(forever, {
            volumeMounts: [{ name: 'huge', mountPath: '/huge' }],
            resources: { limits: { memory: '64Mi', ...amounts }, requests: { memory: '64Mi', ...amounts } },
          }),
        ],
      });
      await node.create('huge', using({ 'hugepages-2Mi': '4Mi' }));
      await node.create('two-sizes', using({ 'hugepages-2Mi': '4Mi', 'hugepages-1Gi': '0' }));
      await node.untilReady('huge');
      expect(await node.exec('huge', 'grep', ' /huge ', '/proc/mounts')).toMatch(/^\S+ \/huge hugetlbfs .*pagesize=2M/);
      const free = async () => Number(/HugePages_Free:\s+(\d+)/.exec(await fs.readFile('/proc/meminfo', 'utf8'))?.[1]);
      const unused = await free();
      expect(await node.exec('huge', 'fallocate', '-l', '4194304', '/huge/pages')).toBe('');
      expect(await free()).toBe(unused - 2);
      await eventually(async () =>
        expect((await node.events('two-sizes')).map(({ message }) => message)).toContainEqual(
          expect.stringContaining('medium HugePages can be used only if exactly one huge page size is requested'),
        ),
      );
      await Promise.all(['huge', 'two-sizes'].map(name => node.delete(name)));
      await eventually(async () => expect(await free()).toBe(unused));
    });
  });

  it('makes read-only reach what is mounted below a volume, where that is asked for, and says so', async () => {
    const outer = await directory('kubelet/outer');
    await fs.mkdir(path.join(outer, 'inner'));
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', path.join(outer, 'inner')]);
    try {
      const mount = (mountPath: string, recursiveReadOnly?: string) => ({
        ...{ name: 'outer', mountPath, readOnly: true },
        ...(recursiveReadOnly ? { recursiveReadOnly } : {}),
      });
      const volumeMounts = [mount('/plain'), mount('/enabled', 'Enabled'), mount('/possible', 'IfPossible')];
      await node.create('read-only', {
        containers: [shell(forever, { volumeMounts })],
        volumes: [{ name: 'outer', hostPath: { path: outer } }],
      });
      await node.untilReady('read-only');
      const touch = (at: string) => node.exec('read-only', 'touch', `${at}/inner/file`);
      expect(await touch('/plain')).toBe('');
      expect(await touch('/enabled')).toContain('Read-only file system');
      expect(await touch('/possible')).toContain('Read-only file system');
      const mounts = (await node.get('read-only')).status?.containerStatuses?.[0]?.volumeMounts ?? [];
      expect(mounts.slice(0, 3).map(each => each.recursiveReadOnly)).toEqual(['Disabled', 'Enabled', 'Enabled']);
      await node.delete('read-only');
    } finally {
      execFileSync('umount', [path.join(outer, 'inner')]);
    }
  });

  it('says what mount said of an NFS volume that cannot be mounted, and lets the pod go', async () => {
    await node.create('nfs', {
      containers: [mounting({ name: 'nfs', mountPath: '/nfs' })],
      volumes: [{ name: 'nfs', nfs: { server: '127.0.0.1', path: '/none' } }],
    });
    await eventually(async () =>
      expect((await node.events('nfs')).find(({ reason }) => reason === 'FailedMount')?.message).toMatch(
        /^MountVolume.SetUp failed for volume "nfs" : mount failed: exit status \d+\nMounting command: mount\nMounting arguments: -t nfs -- 127.0.0.1:\/none /,
      ),
    );
    await eventually(async () =>
      expect((await node.fetch(kubelet, '/metrics')).text).toMatch(
        /^storage_operation_duration_seconds_count\{.*volume_plugin="kubernetes.io\/nfs",operation_name="volume_mount",status="fail-unknown".*\} [1-9]/m,
      ),
    );
    await node.delete('nfs');
  });

  describe('of a CSI driver', () => {
    let driver: ExampleDriver;

    beforeAll(async () => {
      ExampleDriver.build();
      driver = new ExampleDriver(node);
      await driver.start();
    });

    afterAll(() => driver?.stop());

    const csi = { driver: driverName, volumeHandle: 'data' };

    it('is known by its CSINode as long as its socket is there', async () => {
      const drivers = async () => (await node.api.get(csiNodes, { name: nodeName })).spec.drivers;
      const topologyKey = `topology.${driverName}/node`;
      await eventually(async () =>
        expect(await drivers()).toEqual([{ name: driverName, nodeID: nodeName, topologyKeys: [topologyKey] }]),
      );
      const { metadata } = await node.api.get(nodes, { name: nodeName });
      expect(metadata.labels?.[topologyKey]).toBe(nodeName);
      expect(metadata.annotations?.['csi.volume.kubernetes.io/nodeid']).toBe(`{"${driverName}":"${nodeName}"}`);
      await driver.stop();
      await eventually(async () => expect(await drivers()).toEqual([]));
      await driver.start();
      await eventually(async () => expect(await drivers()).toHaveLength(1));
    });

    it('are attached, staged once, published for each pod, and undone in reverse, over a restart too', async () => {
      await directory('csi/data');
      await bound('data', { csi: { ...csi, volumeAttributes: { color: 'blue' } } });
      const claimed = {
        containers: [mounting({ name: 'data', mountPath: '/data' })],
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
      };
      await node.create('first', claimed);
      const unique = `kubernetes.io/csi/${driverName}^data`;
      const inUse = async () => (await node.api.get(nodes, { name: nodeName })).status?.volumesInUse;
      await eventually(async () => expect(await inUse()).toEqual([unique]));
      expect(driver.log).not.toContain('staged');

      // What the attach-detach controller and the attacher of the driver do.
      const name = attachmentName({ driver: driverName, handle: 'data' }, nodeName);
      await node.api.create(volumeAttachments, {
        metadata: { name },
        spec: { attacher: driverName, nodeName, source: { persistentVolumeName: 'pv-data' } },
        status: { attached: true, attachmentMetadata: { where: 'slot-7' } },
      });
      const body = { status: { volumesAttached: [{ name: unique, devicePath: '' }] } };
      await node.api.patch(nodes, { name: nodeName }, { type: 'merge', body }, { subresource: 'status' });
      await node.untilReady('first');
      await driver.said('staged data {"where":"slot-7"}');
      await driver.said('published data {"color":"blue"}');
      await node.create('second', claimed);
      await node.untilReady('second');
      const staged = () => node.mountPoints().filter(place => place.includes('globalmount'));
      expect(staged()).toHaveLength(1);
      expect(await node.exec('first', 'sh', '-c', 'echo shared > /data/file')).toBe('');
      expect(await node.exec('second', 'cat', '/data/file')).toBe('shared');

      await node.stopKubelet(kubelet);
      kubelet = await node.startKubelet();
      expect(await inUse()).toEqual([unique]);
      await node.delete('first');
      await driver.said('unpublished data');
      expect(driver.log).not.toContain('unstaged data');
      expect(await node.exec('second', 'cat', '/data/file')).toBe('shared');
      await node.delete('second');
      await driver.said('unstaged data');
      await eventually(async () => expect(await inUse()).toEqual([]));
      expect(staged()).toEqual([]);
      expect(await fs.readFile(node.file('csi/data/file'), 'utf8')).toBe('shared\n');
    });

    it('may be written in the pod when the driver allows it, and know the pod', async () => {
      await node.create('inline', {
        containers: [mounting({ name: 'scratch', mountPath: '/scratch' })],
        volumes: [{ name: 'scratch', csi: { driver: driverName, volumeAttributes: { size: 'small' } } }],
      });
      await eventually(async () =>
        expect(await node.events('inline')).toContainEqual({
          reason: 'FailedMount',
          message: `MountVolume.SetUp failed for volume "scratch" : volume mode "Ephemeral" not supported by driver ${driverName} (no CSIDriver object)`,
        }),
      );
      await node.api.create(csiDrivers, {
        metadata: { name: driverName },
        spec: { attachRequired: false, podInfoOnMount: true, volumeLifecycleModes: ['Persistent', 'Ephemeral'] },
      });
      const { metadata } = await node.untilReady('inline');
      await driver.said(
        new RegExp(
          `published csi-[0-9a-f]{64} .*"csi.storage.k8s.io/pod.uid":"${metadata.uid}".*"csi.storage.k8s.io/ephemeral":"true"`,
        ),
      );
      await node.delete('inline');
      expect((await fs.readdir(node.file('csi'))).filter(name => name.startsWith('csi-'))).toEqual([]);
    });

    it('of a driver that is not there wait for it', async () => {
      await directory('csi/late');
      await bound('late', { csi: { ...csi, volumeHandle: 'late' } });
      await driver.stop();
      await node.create('late', {
        containers: [mounting({ name: 'data', mountPath: '/data' })],
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'late', readOnly: true } }],
      });
      await eventually(async () =>
        expect(await node.events('late')).toContainEqual({
          reason: 'FailedMount',
          message: `MountVolume.SetUp failed for volume "pv-late" : kubernetes.io/csi: driver name ${driverName} not found in the list of registered CSI drivers`,
        }),
      );
      await driver.start();
      await node.untilReady('late');
      expect(await node.exec('late', 'touch', '/data/x')).toContain('Read-only file system');
      await node.delete('late');
    });
  });
});
