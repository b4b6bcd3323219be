import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nodes, type Node } from '@naru/api';
import { silentLogger } from '@naru/foundation';
import { MemoryObjects } from '@naru/testing';
import { localPath } from './local-path';
import { removeLocalVolumes, requestedRemovals } from './local-path-removal';

const withAnnotations = (annotations: Record<string, string>): Node => ({ metadata: { name: 'n', annotations } });

test('the directory of a released local volume is removed and the request answered', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'local-path-'));
  const directory = path.join(root, 'deep', 'pvc-1');
  mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(directory, 'data'), 'x');
  const api = new MemoryObjects();
  const node = api.seed(nodes, withAnnotations({ 'remove.volumes.naru.dev/pvc-1': directory, other: 'stays' }));
  await removeLocalVolumes(node, { client: api, logger: silentLogger });
  expect(existsSync(directory)).toBe(false);
  expect((await api.get(nodes, { name: 'n' })).metadata.annotations).toEqual({
    'remove.volumes.naru.dev/pvc-1': '',
    other: 'stays',
  });
  rmSync(root, { recursive: true });
});

test.each(['/pvc-1', '/a/pvc-1', 'a/b/c/pvc-1', '/a/b/c/../../../pvc-1', '/a/b/c/other', '/a/b/pvc-1/', ''])(
  'a request for %j is not followed',
  directory => {
    expect(requestedRemovals(withAnnotations({ 'remove.volumes.naru.dev/pvc-1': directory })).size).toBe(0);
  },
);

test('the directory of a local volume is made for whatever user its pods run as', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'local-path-'));
  const directory = path.join(root, 'pvc-1');
  const volume = { name: 'pvc-1', hostPath: { path: directory } };
  const annotations = { 'pv.kubernetes.io/provisioned-by': 'naru.dev/local-path' };
  const claimed = { persistentVolume: { metadata: { annotations } }, readOnly: false };
  const context = { volume, claimed, pod: { spec: { containers: [] } } } as unknown as Parameters<
    typeof localPath.setUp
  >[0];
  expect(localPath.supports(context)).toBe(true);
  expect(localPath.supports({ volume })).toBe(false);
  expect(await localPath.setUp(context)).toBe(directory);
  expect(statSync(directory).mode & 0o777).toBe(0o777);
  rmSync(root, { recursive: true });
});
