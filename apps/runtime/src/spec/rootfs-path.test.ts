import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openInRoot, resolveInRoot } from './rootfs-path';
import { resolveUser } from './users';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'naru-rootfs-'));
beforeAll(() => {
  fs.mkdirSync(path.join(root, 'etc'));
  fs.mkdirSync(path.join(root, 'usr/etc'), { recursive: true });
  fs.writeFileSync(path.join(root, 'usr/etc/group'), 'staff:x:50:app\nodd:x:4294967296:app\n');
  fs.writeFileSync(
    path.join(root, 'etc/passwd'),
    'root:x:0:0::/root:\napp:x:10:20::/home/app:\nodd:x:4294967295:20::/:\n',
  );
  fs.symlinkSync('/usr/etc/group', path.join(root, 'etc/group'));
  fs.symlinkSync('/etc/shadow', path.join(root, 'etc/outside'));
  fs.symlinkSync('../../../../../../etc/hostname', path.join(root, 'etc/above'));
  fs.symlinkSync('loop', path.join(root, 'loop'));
});
afterAll(() => fs.rmSync(root, { recursive: true }));

test('links are followed as the container would, never to the outside', () => {
  expect(resolveInRoot(root, '/etc/group')).toBe(`${root}/usr/etc/group`);
  expect(resolveInRoot(root, '/etc/outside')).toBe(`${root}/etc/shadow`);
  expect(resolveInRoot(root, '/etc/above')).toBe(`${root}/etc/hostname`);
  expect(openInRoot(root, '/etc/outside')).toBeUndefined();
  expect(openInRoot(root, '/loop')).toBeUndefined();
});

test.each([
  ['', { uid: 0, gid: 0, additionalGids: [] }],
  ['app', { uid: 10, gid: 20, additionalGids: [50] }],
  ['10', { uid: 10, gid: 20, additionalGids: [50] }],
  ['app:staff', { uid: 10, gid: 50, additionalGids: [50] }],
  ['77', { uid: 77, gid: 0, additionalGids: [] }],
  ['77:88', { uid: 77, gid: 88, additionalGids: [] }],
])('the user "%s" is resolved by the files of the image', (spec, user) => {
  expect(resolveUser(root, spec)).toEqual(user);
});

test('an unknown name is refused', () => {
  expect(() => resolveUser(root, 'nobody')).toThrow('unable to find user nobody');
  expect(() => resolveUser(root, 'app:nogroup')).toThrow('unable to find group nogroup');
});

test.each(['4294967295', '2147483648', '77:4294967295', '99999999999999999999', 'odd', 'app:odd'])(
  'the user "%s", which the kernel would take as none, is refused',
  spec => {
    expect(() => resolveUser(root, spec)).toThrow(/^the [ug]id "\d+" is no number of 0 to 2147483647$/);
  },
);
