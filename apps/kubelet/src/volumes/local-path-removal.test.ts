import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nodes, type Node } from '@naru/api';
import { silentLogger } from '@naru/foundation';
import { MemoryObjects } from '@naru/testing';
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
