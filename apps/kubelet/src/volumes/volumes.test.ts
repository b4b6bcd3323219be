import fs from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { ConfigMap, Pod, Volume } from '@naru/api';
import { PodPaths } from '../pods/pod-paths';
import { writeAtomically, type Payload } from './atomic-writer';
import { PodVolumes } from './pod-volumes';
import { volumePlugins } from './registry';
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
  const volumes = (): PodVolumes =>
    new PodVolumes({
      paths: new PodPaths(root, path.join(root, 'logs'), path.join(root, 'memory')),
      plugins: volumePlugins,
      objects: {
        configMap: async () => configMap,
        secret: async () => ({ data: { key: Buffer.from('secret').toString('base64') } }),
      },
      serviceAccountToken: async input => `token for ${input.serviceAccount} ${input.pod.uid}`,
    });
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

describe('mountSubPath', () => {
  it('refuses to leave the volume', async () => {
    const volume = path.join(root, 'volume');
    await fs.mkdir(volume);
    await fs.symlink('/etc', path.join(volume, 'link'));
    await expect(mountSubPath(volume, '../x', path.join(root, 't'))).rejects.toThrow("must not contain '..'");
    await expect(mountSubPath(volume, 'link', path.join(root, 't'))).rejects.toThrow('leads out of volume');
    await expect(mountSubPath(volume, 'link/passwd', path.join(root, 't'))).rejects.toThrow('leads out of volume');
  });
});
