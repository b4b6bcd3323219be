import { applyEdits } from './cdi-edits';
import type { SpecMount } from './mounts';
import type { OciSpec } from './oci-types';

const specOf = (...namespaces: OciSpec['linux']['namespaces']): OciSpec => ({
  ociVersion: '1.0.2',
  process: {
    terminal: false,
    user: { uid: 1000, gid: 0, additionalGids: [0] },
    args: ['sh'],
    env: ['PATH=/bin', 'CARD=none'],
    cwd: '/',
    capabilities: { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] },
    noNewPrivileges: false,
  },
  root: { path: '/rootfs', readonly: false },
  mounts: [],
  linux: {
    namespaces: [{ type: 'mount' }, ...namespaces],
    devices: [{ path: '/dev/card', type: 'c', major: 9, minor: 9 }],
    cgroupsPath: '/c',
    resources: { devices: [{ allow: false, access: 'rwm' }] },
  },
});
const mount = (destination: string): SpecMount => ({ destination, type: 'bind', source: '/a', options: ['rbind'] });

test('a container is changed as its devices ask for, in place of what it had there', () => {
  const spec = specOf();
  const mounts = applyEdits(
    spec,
    [mount('/proc'), mount('/opt/driver'), mount('/opt/driver/data')],
    [
      { env: ['CARD=0', 'MODE=a=b'], intelRdt: { closID: 'fast' }, additionalGids: [0, 44, 44] },
      {
        deviceNodes: [
          { path: '/dev/card', hostPath: '/dev/null', fileMode: 0o600, permissions: 'r' },
          { path: '/dev/pipe', type: 'p' },
          { path: '/dev/other', type: 'c', major: 7, minor: 8, gid: 5, permissions: 'none' },
        ],
        mounts: [
          { hostPath: '/usr/lib/driver', containerPath: '/opt/driver', options: ['ro', 'nosuid', 'bind'] },
          { hostPath: '/opt', containerPath: '/opt', options: ['ro'] },
          { hostPath: 'tmpfs', containerPath: '/opt/driver/tmp', type: 'tmpfs', options: ['size=1m'] },
        ],
        hooks: [{ hookName: 'createContainer', path: '/bin/ldconfig', args: ['ldconfig'], timeout: 1 }],
      },
    ],
  );
  expect(spec.process.env).toEqual(['PATH=/bin', 'CARD=0', 'MODE=a=b']);
  expect(spec.process.user.additionalGids).toEqual([0, 44]);
  expect(spec.linux.devices).toEqual([
    { path: '/dev/card', type: 'c', major: 1, minor: 3, fileMode: 0o600, uid: 1000, gid: 0 },
    { path: '/dev/pipe', type: 'p', major: 0, minor: 0, uid: 1000, gid: 0 },
    { path: '/dev/other', type: 'c', major: 7, minor: 8, uid: 1000, gid: 5 },
  ]);
  expect(spec.linux.resources.devices).toEqual([
    { allow: false, access: 'rwm' },
    { allow: true, type: 'c', major: 1, minor: 3, access: 'r' },
  ]);
  expect(spec.linux.intelRdt).toEqual({ closID: 'fast' });
  expect(spec.hooks).toEqual({ createContainer: [{ path: '/bin/ldconfig', args: ['ldconfig'], timeout: 1 }] });
  expect(mounts.map(({ destination, type, options }) => [destination, type, options.join()])).toEqual([
    ['/proc', 'bind', 'rbind'],
    ['/opt', 'bind', 'rbind,ro'],
    ['/opt/driver', 'bind', 'ro,nosuid,bind'],
    ['/opt/driver/data', 'bind', 'rbind'],
    ['/opt/driver/tmp', 'tmpfs', 'size=1m'],
  ]);
});

test('in a pod with a user namespace devices are mounted, and places are mapped', () => {
  const spec = specOf({ type: 'user', path: '/proc/1/ns/user' });
  const mounts = applyEdits(
    spec,
    [],
    [
      {
        deviceNodes: [{ path: '/dev/card', hostPath: '/dev/null' }],
        mounts: [{ hostPath: '/opt', containerPath: '/opt' }],
      },
    ],
  );
  expect(spec.linux.devices).toEqual([]);
  expect(mounts).toEqual([
    { destination: '/opt', type: 'bind', source: '/opt', options: ['rbind'], idmapped: true },
    { destination: '/dev/card', type: 'bind', source: '/dev/null', options: ['rbind', 'rw', 'rprivate'] },
  ]);
});

test('what cannot be is refused with its reason', () => {
  const refused = (edits: Parameters<typeof applyEdits>[2][number]) => expect(() => applyEdits(specOf(), [], [edits]));
  refused({ netDevices: [{ hostInterfaceName: 'eth9', name: 'fast' }] }).toThrow(/OCI specification 1\.3/);
  refused({ deviceNodes: [{ path: '/dev/card', hostPath: '/etc' }] }).toThrow('/etc is no device');
  refused({ deviceNodes: [{ path: '/dev/card', hostPath: '/dev/null', type: 'b' }] }).toThrow(
    'CDI device ("/dev/card", "/dev/null"), host type mismatch (b, c)',
  );
});
