import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { layerTar, type LayerEntry } from '@naru/testing';
import { describeWithRoot } from '../testing/runtime-harness';
import { extractLayerFrom } from './layer-extractor';

describeWithRoot('unpacking a layer', () => {
  let base: string;
  let root: string;

  beforeEach(() => {
    base = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-layer-'));
    root = path.join(base, 'diff');
    fs.mkdirSync(root);
  });
  afterEach(() => fs.rmSync(base, { recursive: true, force: true }));

  const unpack = async (entries: LayerEntry[]): Promise<void> =>
    void (await extractLayerFrom(root, await layerTar(entries)));

  test('files keep their content, owner, mode and time, and links stay links', async () => {
    await unpack([
      { name: 'dir/', type: 'directory', mode: 0o750, uid: 5, gid: 6 },
      { name: 'dir/tool', content: 'text', mode: 0o4755, uid: 7, gid: 8 },
      { name: 'dir/empty' },
      { name: 'deep/without/parents', content: 'x' },
      { name: 'dir/absolute', type: 'symlink', linkname: '/etc/passwd' },
      { name: 'dir/hard', type: 'link', linkname: 'dir/tool' },
      { name: 'pipe', type: 'fifo' },
    ]);
    const tool = fs.statSync(path.join(root, 'dir/tool'));
    expect(tool).toMatchObject({ mode: 0o104755, uid: 7, gid: 8, nlink: 2, mtimeMs: 1_700_000_000_000 });
    expect(fs.statSync(path.join(root, 'dir'))).toMatchObject({
      mode: 0o40750,
      uid: 5,
      gid: 6,
      mtimeMs: 1_700_000_000_000,
    });
    expect(fs.readFileSync(path.join(root, 'dir/hard'), 'utf8')).toBe('text');
    expect(fs.readlinkSync(path.join(root, 'dir/absolute'))).toBe('/etc/passwd');
    expect(fs.readFileSync(path.join(root, 'deep/without/parents'), 'utf8')).toBe('x');
    expect(fs.lstatSync(path.join(root, 'pipe')).isFIFO()).toBe(true);
    expect(fs.readdirSync(base)).toEqual(['diff']);
  });

  test('a later entry replaces an earlier one of the same name, whatever it is', async () => {
    await unpack([
      { name: 'a', type: 'directory' },
      { name: 'a/inside', content: 'x' },
      { name: 'a', content: 'file' },
      { name: 'b', content: 'file' },
      { name: 'b', type: 'directory' },
      { name: 'b/inside', content: 'y' },
    ]);
    expect(fs.readFileSync(path.join(root, 'a'), 'utf8')).toBe('file');
    expect(fs.readFileSync(path.join(root, 'b/inside'), 'utf8')).toBe('y');
  });

  test('overlayfs sees what a layer deletes, and directories that hide everything below', async () => {
    await unpack([
      { name: 'etc/.wh.gone' },
      { name: 'opaque', type: 'directory', mode: 0o755 },
      { name: 'opaque/.wh..wh..opq' },
      { name: 'opaque/new', content: 'new' },
      { name: 'replaced/.wh.kept' },
      { name: 'replaced/kept', content: 'from this layer' },
    ]);
    const [lower, merged] = ['lower', 'merged'].map(name => path.join(base, name)) as [string, string];
    for (const file of ['etc/gone', 'etc/stays', 'opaque/old', 'replaced/kept']) {
      fs.mkdirSync(path.dirname(path.join(lower, file)), { recursive: true });
      fs.writeFileSync(path.join(lower, file), 'from below');
    }
    fs.mkdirSync(merged);
    const script =
      'mount -t overlay overlay -o "lowerdir=$1:$2" "$3" && cd "$3" && find . -type f | sort && cat replaced/kept';
    const seen = execFileSync('unshare', ['--mount', 'sh', '-c', script, 'sh', root, lower, merged], {
      encoding: 'utf8',
    });
    expect(seen.split('\n')).toEqual(['./etc/stays', './opaque/new', './replaced/kept', 'from this layer']);
    expect(fs.statSync(path.join(root, 'opaque')).mode & 0o777).toBe(0o755);
  });

  test('extended attributes of files come through', async () => {
    await unpack([
      { name: 'bin/tool', content: 'program', mode: 0o755, uid: 3, pax: { 'SCHILY.xattr.user.naru': 'yes' } },
    ]);
    expect(fs.readFileSync(path.join(root, 'bin/tool'), 'utf8')).toBe('program');
    expect(fs.statSync(path.join(root, 'bin/tool')).uid).toBe(3);
    const listed = execFileSync('tar', ['--xattrs', '-c', '-C', root, 'bin/tool'], { encoding: 'latin1' });
    expect(listed).toContain('SCHILY.xattr.user.naru=yes');
  });

  test.each<[string, LayerEntry[]]>([
    ['a name with ..', [{ name: '../escaped', content: 'x' }]],
    ['a name with .. inside', [{ name: 'a/../../escaped', content: 'x' }]],
    [
      'a file below a symbolic link',
      [
        { name: 'link', type: 'symlink', linkname: '..' },
        { name: 'link/escaped', content: 'x' },
      ],
    ],
    [
      'a file below an absolute link',
      [
        { name: 'link', type: 'symlink', linkname: '/tmp' },
        { name: 'link/naru-escaped', content: 'x' },
      ],
    ],
    ['a hard link to the outside', [{ name: 'hard', type: 'link', linkname: '../secret' }]],
    [
      'a hard link through a symbolic link',
      [
        { name: 'link', type: 'symlink', linkname: '..' },
        { name: 'hard', type: 'link', linkname: 'link/secret' },
      ],
    ],
    ['a whiteout of ..', [{ name: 'a/.wh...', content: '' }]],
    [
      'a whiteout below a symbolic link',
      [{ name: 'link', type: 'symlink', linkname: '..' }, { name: 'link/.wh.secret' }],
    ],
    [
      'a device below a symbolic link',
      [
        { name: 'link', type: 'symlink', linkname: '..' },
        { name: 'link/fifo', type: 'fifo' },
      ],
    ],
    [
      "a link in place of a device's directory",
      [
        { name: 'd/fifo', type: 'fifo' },
        { name: 'd', type: 'symlink', linkname: '..' },
      ],
    ],
    [
      'an opaque mark on a symbolic link',
      [{ name: 'link', type: 'symlink', linkname: '..' }, { name: 'link/.wh..wh..opq' }],
    ],
    [
      'a link in place of a directory whose owner is set at the end',
      [
        { name: 'd/secret', type: 'directory', uid: 4711, mode: 0o777 },
        { name: 'd', type: 'symlink', linkname: '..' },
      ],
    ],
  ])('%s is refused, or stays inside', async (_, entries) => {
    fs.writeFileSync(path.join(base, 'secret'), 'untouched');
    await unpack(entries).catch(() => undefined);
    expect(fs.readdirSync(base).filter(name => name !== 'diff')).toEqual(['secret']);
    expect(fs.statSync(path.join(base, 'secret'))).toMatchObject({ nlink: 1, uid: 0, mode: 0o100644 });
    expect(fs.statSync(base)).toMatchObject({ mode: 0o40700, uid: 0 });
    expect(fs.readFileSync(path.join(base, 'secret'), 'utf8')).toBe('untouched');
    expect(fs.existsSync('/tmp/naru-escaped')).toBe(false);
  });

  test('a tar that breaks off is an error', async () => {
    const tar = await layerTar([{ name: 'file', content: 'x'.repeat(10_000) }]);
    await expect(extractLayerFrom(root, tar.subarray(0, 5_000))).rejects.toThrow();
  });
});
