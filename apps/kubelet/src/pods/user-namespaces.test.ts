import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Pod } from '@naru/api';
import { silentLogger } from '@naru/foundation';
import { cri } from '@naru/proto';
import { PodPaths } from './pod-paths';
import { UserNamespaces, subordinateIds, type UserNamespacesDeps } from './user-namespaces';

const unit = 65_536;
const pod = (uid: string, hostUsers?: boolean): Pod => ({
  metadata: { uid },
  spec: { containers: [], ...(hostUsers === undefined ? {} : { hostUsers }) },
});

describe('user namespaces of pods', () => {
  let root: string;
  beforeEach(() => (root = fs.mkdtempSync(path.join(os.tmpdir(), 'userns-'))));
  afterEach(() => fs.rmSync(root, { recursive: true }));

  const handlers = [
    { name: '', features: { userNamespaces: true, recursiveReadOnlyMounts: true } },
    { name: 'old', features: { userNamespaces: false, recursiveReadOnlyMounts: true } },
  ];
  const make = (changes: Partial<UserNamespacesDeps> = {}): UserNamespaces =>
    new UserNamespaces({
      paths: new PodPaths(root, path.join(root, 'logs'), path.join(root, 'memory')),
      idsPerPod: unit,
      maxPods: 2,
      pool: { first: unit, length: 3 * unit },
      handlers: () => Promise.resolve(handlers),
      logger: silentLogger,
      ...changes,
    });
  const firstOf = async (namespaces: UserNamespaces, uid: string): Promise<number | undefined> =>
    (await namespaces.of(pod(uid, false), '')).uids[0]?.hostId;

  it('are the node’s own unless the pod asks for another', async () => {
    for (const hostUsers of [undefined, true])
      expect(await make().of(pod('a', hostUsers), '')).toEqual({ mode: cri.NamespaceMode.NODE, uids: [], gids: [] });
  });

  it('never overlap, and are free again when their pod is gone', async () => {
    const namespaces = make();
    const firsts = await Promise.all(['a', 'b', 'c'].map(uid => firstOf(namespaces, uid)));
    expect(firsts.toSorted((a = 0, b = 0) => a - b)).toEqual([unit, 2 * unit, 3 * unit]);
    await expect(firstOf(namespaces, 'd')).rejects.toThrow('could not find an empty slot to allocate a user namespace');
    namespaces.release('b');
    expect(await firstOf(namespaces, 'd')).toBe(firsts[1]);
    expect(await firstOf(namespaces, 'd')).toBe(firsts[1]);
  });

  it('are found again after a restart, in the format of upstream, also when the pool has changed', async () => {
    const first = await firstOf(make(), 'a');
    const mapping = [{ hostId: first, containerId: 0, length: unit }];
    const file = path.join(root, 'pods/a/userns');
    expect(JSON.parse(fs.readFileSync(file, 'utf8'))).toEqual({ uidMappings: mapping, gidMappings: mapping });
    const next = make({ pool: { first: 0x10_0000, length: 4 * unit } });
    expect(await firstOf(next, 'a')).toBe(first);
    next.release('a');
    expect(fs.existsSync(file)).toBe(false);
    fs.writeFileSync(file, 'no json');
    expect(await firstOf(make({ pool: { first: 0x10_0000, length: 4 * unit } }), 'a')).toBeGreaterThanOrEqual(
      0x10_0000,
    );
  });

  it('are refused, in upstream’s words, where the runtime has none', async () => {
    const refusal = (handler: string): Promise<unknown> => make().of(pod('a', false), handler);
    await expect(refusal('old')).rejects.toThrow(
      'can\'t set `spec.hostUsers: false`, RuntimeClass handler "old" does not support user namespaces',
    );
    await expect(refusal('new')).rejects.toThrow('the handler "new" is not known');
    await expect(make({ handlers: () => Promise.resolve([]) }).of(pod('a', false), '')).rejects.toThrow(
      "can't set `spec.hostUsers: false`, runtime does not support user namespaces",
    );
  });

  it('come from a pool that can serve every pod', () => {
    expect(() => make({ maxPods: 4 })).toThrow('kubelet user assigned IDs are not enough to support 4 pods');
    expect(() => make({ idsPerPod: 2 * unit })).toThrow('kubelet user assigned ID 65536 is not a multiple of 131072');
    expect(() => make({ pool: { first: 0, length: 9 * unit } })).toThrow('must be greater or equal to 65536');
  });

  it('come from the subordinate ids of the user kubelet, when it has any', () => {
    const write = (name: string, text: string): void => fs.writeFileSync(path.join(root, name), text);
    expect(subordinateIds(root)).toBeUndefined();
    write('subuid', 'someone:100000:65536\nkubelet:131072:1310720\n');
    expect(() => subordinateIds(root)).toThrow('must have the same single line for the user kubelet');
    write('subgid', 'kubelet:131072:1310720\n');
    expect(subordinateIds(root)).toEqual({ first: 131_072, length: 1_310_720 });
  });
});
