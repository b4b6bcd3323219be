import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { ConfigMap, Pod, Volume } from '@naru/api';
import { PodEvents } from '../pods/pod-events';
import { PodPaths } from '../pods/pod-paths';
import { writeAtomically, type Payload } from './atomic-writer';
import { PodVolumes } from './pod-volumes';
import { persistentVolumeClaims, persistentVolumes } from '@naru/api';
import { MemoryObjects } from '@naru/testing';
import { silentLogger, systemClock } from '@naru/foundation';
import { Attachments } from '../csi/attachments';
import { CsiDrivers } from '../csi/csi-drivers';
import { CsiNodeObject } from '../csi/csi-node';
import { Claims } from './claims';
import { applyFsGroup } from './fs-group';
import { volumePlugins } from './registry';
import { mountFilesystem, unmount } from './mount';
import { mountSubPath } from './sub-path';

let root: string;

beforeEach(async () => {
  root = await fs.mkdtemp(path.join(os.tmpdir(), 'kubelet-volumes-'));
});

afterEach(() => fs.rm(root, { recursive: true, force: true }));

const payload = (files: Record<string, string>, mode = 0o644): Payload =>
  new Map(Object.entries(files).map(([name, text]) => [name, { data: Buffer.from(text), mode }]));

const facts = {
  podIps: ['10.0.0.1'],
  hostIps: [],
  nodeName: 'n1',
  allocatable: { cpu: 1000, memory: 1, 'ephemeral-storage': 1 },
};

describe('writeAtomically', () => {
  it('replaces all files at once and removes what is gone', async () => {
    expect(await writeAtomically(root, payload({ a: '1', 'dir/b': '2' }))).toBe(true);
    const before = await fs.readlink(path.join(root, '..data'));
    expect(await writeAtomically(root, payload({ a: '1', 'dir/b': '2' }))).toBe(false);
    expect(await fs.readlink(path.join(root, '..data'))).toBe(before);
    expect(await writeAtomically(root, payload({ a: '3' }))).toBe(true);
    expect(await fs.readFile(path.join(root, 'a'), 'utf8')).toBe('3');
    expect((await fs.readdir(root)).filter(name => !name.startsWith('..'))).toEqual(['a']);
    expect((await fs.readdir(root)).filter(name => name.startsWith('..'))).toHaveLength(2);
  });

  it.each(['../x', '/etc/passwd', 'a/../../x', '..data'])('refuses the path %s', async name => {
    await expect(writeAtomically(root, payload({ [name]: '' }))).rejects.toThrow('invalid path');
  });
});

describe('PodVolumes', () => {
  let configMap: ConfigMap | undefined = { data: { color: 'blue', size: 'l' } };
  const client = new MemoryObjects();
  const nodeName = 'n1';
  const volumes = (): PodVolumes => {
    const paths = new PodPaths(root, path.join(root, 'logs'), path.join(root, 'memory'));
    const drivers = new CsiDrivers({ node: new CsiNodeObject({ client, nodeName }), logger: silentLogger });
    const attachments = new Attachments({ client, clock: systemClock, nodeName, onChange: () => undefined });
    const events = new PodEvents({ record: () => undefined });
    return new PodVolumes({
      paths,
      plugins: volumePlugins({ client, drivers, attachments, paths, events, clock: systemClock, nodeName }),
      claims: new Claims({ client, node: () => ({ metadata: { name: nodeName } }) }),
      clock: systemClock,
      objects: {
        configMap: async () => configMap,
        secret: async () => ({ data: { key: Buffer.from('secret').toString('base64') } }),
      },
      serviceAccountToken: async input => `token for ${input.serviceAccount} ${input.pod.uid}`,
    });
  };
  const pod = (...all: Volume[]): Pod => ({
    metadata: { name: 'p', namespace: 'ns', uid: 'u1', labels: { app: 'x' } },
    spec: { containers: [], volumes: all },
  });

  it('projects config maps, secrets, fields and tokens into one directory', async () => {
    const paths = await volumes().setUp(
      pod({
        name: 'all',
        projected: {
          sources: [
            { serviceAccountToken: { path: 'token' } },
            { configMap: { name: 'cm', items: [{ key: 'color', path: 'deep/color', mode: 0o400 }] } },
            { secret: { name: 's' } },
            { downwardAPI: { items: [{ path: 'labels', fieldRef: { fieldPath: 'metadata.labels' } }] } },
          ],
        },
      }),
      facts,
    );
    const directory = paths.get('all') as string;
    const read = (name: string): Promise<string> => fs.readFile(path.join(directory, name), 'utf8');
    expect(directory).toBe(path.join(root, 'memory/u1/volumes/kubernetes.io~projected/all'));
    expect(await read('token')).toBe('token for default u1');
    expect(await read('deep/color')).toBe('blue');
    expect(await read('key')).toBe('secret');
    expect(await read('labels')).toBe('app="x"');
    expect((await fs.stat(path.join(directory, 'deep/color'))).mode & 0o777).toBe(0o400);
  });

  it('follows a config map that changes, and says when it is missing', async () => {
    const input = pod({ name: 'v', configMap: { name: 'cm' } });
    const directory = (await volumes().setUp(input, facts)).get('v') as string;
    configMap = { data: { color: 'red' } };
    await volumes().refresh(input, facts);
    expect(await fs.readFile(path.join(directory, 'color'), 'utf8')).toBe('red');
    configMap = undefined;
    await expect(volumes().setUp(input, facts)).rejects.toThrow(
      'MountVolume.SetUp failed for volume "v" : configmap "cm" not found',
    );
  });

  it('removes everything of a pod', async () => {
    await volumes().setUp(pod({ name: 'e', emptyDir: {} }), facts);
    await volumes().tearDown('u1');
    await expect(fs.stat(path.join(root, 'pods/u1'))).rejects.toThrow('ENOENT');
    await volumes().tearDown('u1');
  });

  it('checks what a hostPath is', async () => {
    const input = (type: string): Pod => pod({ name: 'h', hostPath: { path: root, type } });
    expect((await volumes().setUp(input('Directory'), facts)).get('h')).toBe(root);
    await expect(volumes().setUp(input('File'), facts)).rejects.toThrow('is not a file');
  });
});

describe('claims', () => {
  const client = new MemoryObjects();
  const claims = new Claims({ client, node: () => ({ metadata: { name: 'n1', labels: { disk: 'ssd' } } }) });
  const pod: Pod = { metadata: { name: 'p', namespace: 'ns', uid: 'u1' }, spec: { containers: [] } };
  const volume: Volume = { name: 'data', persistentVolumeClaim: { claimName: 'c', readOnly: true } };

  it('lead to the volume that they are bound to, and say what is in the way', async () => {
    await expect(claims.resolve(pod, volume)).rejects.toThrow(
      /^error processing PVC ns\/c: failed to fetch PVC from API server: .*"c" not found$/,
    );
    const claim = await client.create(persistentVolumeClaims, {
      metadata: { name: 'c', namespace: 'ns' },
      spec: { volumeName: 'pv1' },
    });
    await expect(claims.resolve(pod, volume)).rejects.toThrow('error processing PVC ns/c: PVC is not bound');
    const key = { namespace: 'ns', name: 'c' };
    await client.patch(
      persistentVolumeClaims,
      key,
      { type: 'merge', body: { status: { phase: 'Bound' } } },
      { subresource: 'status' },
    );
    const claimRef = { namespace: 'ns', name: 'c', uid: 'other' };
    await client.create(persistentVolumes, {
      metadata: { name: 'pv1' },
      spec: { claimRef, hostPath: { path: '/data' } },
    });
    await expect(claims.resolve(pod, volume)).rejects.toThrow('does not point to claim.UID');
    const body = { spec: { claimRef: { uid: claim.metadata.uid } } };
    await client.patch(persistentVolumes, { name: 'pv1' }, { type: 'merge', body });
    expect(await claims.resolve(pod, volume)).toMatchObject({
      volume: { name: 'pv1', hostPath: { path: '/data' } },
      claimed: { readOnly: true },
    });
  });

  it('of generic ephemeral volumes belong to their pod', async () => {
    const ephemeral: Volume = { name: 'scratch', ephemeral: {} };
    await client.create(persistentVolumeClaims, { metadata: { name: 'p-scratch', namespace: 'ns' }, spec: {} });
    await expect(claims.resolve(pod, ephemeral)).rejects.toThrow(
      'PVC ns/p-scratch was not created for pod ns/p (pod is not owner)',
    );
  });

  it('refuse a volume that only other nodes reach', () => {
    const source = (value: string) => ({
      volume,
      claimed: {
        readOnly: false,
        persistentVolume: {
          spec: {
            nodeAffinity: {
              required: {
                nodeSelectorTerms: [{ matchExpressions: [{ key: 'disk', operator: 'In', values: [value] }] }],
              },
            },
          },
        },
      },
    });
    expect(() => claims.checkAffinity(source('ssd'))).not.toThrow();
    expect(() => claims.checkAffinity(source('tape'))).toThrow('no matching NodeSelectorTerms');
  });
});

(process.getuid?.() === 0 || process.env['CI'] === 'true' ? describe : describe.skip)('fsGroup', () => {
  const pod = (fsGroupChangePolicy: 'Always' | 'OnRootMismatch'): Pod => ({
    spec: { containers: [], securityContext: { fsGroup: 4321, fsGroupChangePolicy } },
  });

  it('owns all files of a volume, and never what a link leads to', async () => {
    const outside = path.join(root, 'outside');
    const volume = path.join(root, 'volume');
    await fs.writeFile(outside, '', { mode: 0o600 });
    await fs.mkdir(path.join(volume, 'deep'), { recursive: true });
    await fs.writeFile(path.join(volume, 'deep/file'), '', { mode: 0o600 });
    await fs.symlink(outside, path.join(volume, 'link'));
    await applyFsGroup(volume, pod('Always'));
    const file = await fs.stat(path.join(volume, 'deep/file'));
    expect({ gid: file.gid, mode: file.mode & 0o777 }).toEqual({ gid: 4321, mode: 0o660 });
    expect((await fs.stat(volume)).mode & 0o2770).toBe(0o2770);
    expect(await fs.stat(outside)).toMatchObject({ gid: 0 });
    expect((await fs.stat(outside)).mode & 0o777).toBe(0o600);
  });

  it('leaves a volume as it is when its root is right and the policy is OnRootMismatch', async () => {
    await applyFsGroup(root, pod('Always'));
    await fs.writeFile(path.join(root, 'new'), '');
    await fs.chown(path.join(root, 'new'), 0, 0);
    await applyFsGroup(root, pod('OnRootMismatch'));
    expect((await fs.stat(path.join(root, 'new'))).gid).toBe(0);
    await applyFsGroup(root, pod('Always'));
    expect((await fs.stat(path.join(root, 'new'))).gid).toBe(4321);
  });
});

describe('mountFilesystem', () => {
  it('takes no option from what is to be mounted', async () => {
    await expect(mountFilesystem('nfs', '--version', root, [])).rejects.toThrow('mount failed');
  });
});

describe('mountSubPath', () => {
  it('makes nothing outside of the volume when a directory becomes a link while it looks', async () => {
    const [volume, outside] = [path.join(root, 'volume'), path.join(root, 'outside')];
    await fs.mkdir(path.join(volume, 'dir'), { recursive: true });
    await fs.mkdir(outside);
    const { realpath } = fs;
    const looked = jest.spyOn(fs, 'realpath').mockImplementation((async (place: string) => {
      const found = await realpath(place);
      if (place === path.join(volume, 'dir')) {
        await fs.rename(place, path.join(volume, 'kept'));
        await fs.symlink(outside, place);
      }
      return found;
    }) as unknown as typeof fs.realpath);
    try {
      await expect(mountSubPath(volume, 'dir/deep', path.join(root, 't'))).rejects.toThrow('symbolic link');
    } finally {
      looked.mockRestore();
    }
    expect(await fs.readdir(outside)).toEqual([]);
  });

  it('refuses to leave the volume', async () => {
    const volume = path.join(root, 'volume');
    await fs.mkdir(volume);
    await fs.symlink('/etc', path.join(volume, 'link'));
    await expect(mountSubPath(volume, '../x', path.join(root, 't'))).rejects.toThrow("must not contain '..'");
    await expect(mountSubPath(volume, 'link', path.join(root, 't'))).rejects.toThrow('leads out of volume');
    await expect(mountSubPath(volume, 'link/passwd', path.join(root, 't'))).rejects.toThrow('leads out of volume');
  });
});

(process.getuid?.() === 0 || process.env['CI'] === 'true' ? describe : describe.skip)('a mounted sub path', () => {
  it('leads to what is there when its container starts again', async () => {
    const [volume, target] = [path.join(root, 'volume'), path.join(root, 'target/0')];
    await fs.mkdir(volume);
    const put = async (text: string): Promise<void> => {
      await fs.writeFile(path.join(volume, 'new'), text);
      await fs.rename(path.join(volume, 'new'), path.join(volume, 'file'));
      await mountSubPath(volume, 'file', target);
    };
    try {
      for (const text of ['one', 'two']) {
        await put(text);
        expect(await fs.readFile(target, 'utf8')).toBe(text);
      }
      await mountSubPath(volume, 'file', target);
    } finally {
      await unmount(target);
    }
    // It was mounted once, however often it was asked for.
    expect(await fs.readFile(target, 'utf8')).toBe('');
  });
});
