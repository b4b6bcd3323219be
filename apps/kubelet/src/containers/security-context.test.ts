import type { Container, Pod } from '@naru/api';
import { cri } from '@naru/proto';
import { containerSecurityContext, sandboxSecurityContext, type ImageUser } from './security-context';

type Own = Container['securityContext'];
type OfPod = NonNullable<Pod['spec']>['securityContext'];
type Context = cri.LinuxContainerSecurityContext;

const { NODE, POD, CONTAINER } = cri.NamespaceMode;
const { RuntimeDefault, Unconfined, Localhost } = cri.SecurityProfile_ProfileType;
const userNamespace = cri.UserNamespace.fromPartial({ mode: NODE });
const root: ImageUser = { uid: 0, username: '' };

const podOf = (spec: object): Pod => ({ metadata: { name: 'p', namespace: 'ns', uid: 'u' }, spec }) as Pod;

interface Options {
  image?: ImageUser;
  defaultProfile?: boolean;
}
function contextOf(own: Own, ofPod: OfPod, { image = root, defaultProfile = false }: Options = {}): Context {
  const container = { name: 'main', image: 'x', securityContext: own };
  const pod = podOf({ containers: [container], securityContext: ofPod });
  return containerSecurityContext(pod, container, image, { directory: '/profiles', defaultProfile }, userNamespace);
}

test.each<[Own, OfPod, ImageUser, uid: bigint | undefined, username: string]>([
  [{}, {}, root, 0n, ''],
  [{}, {}, { uid: 7, username: '' }, 7n, ''],
  [{}, {}, { uid: undefined, username: 'web' }, undefined, 'web'],
  [{}, { runAsUser: 5 }, { uid: undefined, username: 'web' }, 5n, ''],
  [{ runAsUser: 0 }, { runAsUser: 5 }, { uid: 7, username: '' }, 0n, ''],
])('with %j over the pod’s %j the image’s user %j becomes %s %s', (own, ofPod, image, uid, username) => {
  const { runAsUser, runAsUsername } = contextOf(own, ofPod, { image });
  expect([runAsUser?.value, runAsUsername]).toEqual([uid, username]);
});

test.each<[Own, OfPod, ImageUser, says: string | undefined]>([
  [
    { runAsNonRoot: true, runAsUser: 0 },
    {},
    root,
    'container\'s runAsUser breaks non-root policy (pod: "p_ns(u)", container: main)',
  ],
  [{ runAsNonRoot: true }, { runAsUser: 0 }, root, 'breaks non-root policy'],
  [{ runAsNonRoot: true }, { runAsUser: 1 }, root, undefined],
  [{}, { runAsNonRoot: true }, root, 'image will run as root'],
  [{ runAsNonRoot: false }, { runAsNonRoot: true }, root, undefined],
  [{}, { runAsNonRoot: true }, { uid: 1, username: '' }, undefined],
  [{}, { runAsNonRoot: true }, { uid: undefined, username: '' }, 'image will run as root'],
  [{}, { runAsNonRoot: true }, { uid: undefined, username: 'web' }, 'image has non-numeric user (web), cannot verify'],
])('with %j over the pod’s %j an image for %j is refused with: %s', (own, ofPod, image, says) => {
  const make = (): Context => contextOf(own, ofPod, { image });
  if (says === undefined) expect(make).not.toThrow();
  else expect(make).toThrow(says);
});

test.each<[Own, OfPod, defaultProfile: boolean, type: cri.SecurityProfile_ProfileType, ref: string]>([
  [{}, {}, false, Unconfined, ''],
  [{}, {}, true, RuntimeDefault, ''],
  [{}, { seccompProfile: { type: 'RuntimeDefault' } }, false, RuntimeDefault, ''],
  [{ seccompProfile: { type: 'Unconfined' } }, { seccompProfile: { type: 'RuntimeDefault' } }, true, Unconfined, ''],
  [{ seccompProfile: { type: 'Localhost', localhostProfile: 'a/b.json' } }, {}, false, Localhost, '/profiles/a/b.json'],
  [{ privileged: true, seccompProfile: { type: 'RuntimeDefault' } }, {}, true, Unconfined, ''],
])(
  'the seccomp profile of %j over %j, with a default: %s, has type %i and file "%s"',
  (own, ofPod, defaultProfile, type, ref) => {
    const { seccomp } = contextOf(own, ofPod, { defaultProfile });
    expect([seccomp?.profileType, seccomp?.localhostRef]).toEqual([type, ref]);
  },
);

test.each<[Own, OfPod, type: cri.SecurityProfile_ProfileType | undefined, ref: string | undefined]>([
  [{}, {}, undefined, undefined],
  [{}, { appArmorProfile: { type: 'RuntimeDefault' } }, RuntimeDefault, ''],
  [{ appArmorProfile: { type: 'Unconfined' } }, { appArmorProfile: { type: 'RuntimeDefault' } }, Unconfined, ''],
  [{ appArmorProfile: { type: 'Localhost', localhostProfile: 'mine' } }, {}, Localhost, 'mine'],
])('the AppArmor profile of %j over %j has type %s and name %s', (own, ofPod, type, ref) => {
  const { apparmor } = contextOf(own, ofPod);
  expect([apparmor?.profileType, apparmor?.localhostRef]).toEqual([type, ref]);
});

test.each<[Own, noNewPrivs: boolean, masked: boolean]>([
  [{}, false, true],
  [{ allowPrivilegeEscalation: true }, false, true],
  [{ allowPrivilegeEscalation: false }, true, true],
  [{ allowPrivilegeEscalation: false, capabilities: { add: ['SYS_ADMIN'] } }, false, true],
  [{ allowPrivilegeEscalation: false, privileged: true }, false, false],
  [{ procMount: 'Unmasked' }, false, false],
  [{ procMount: 'Default' }, false, true],
])('%j keeps privileges as they are: %s, and hides parts of /proc: %s', (own, noNewPrivs, masked) => {
  const context = contextOf(own, {});
  expect(context.noNewPrivs).toBe(noNewPrivs);
  expect(context.maskedPaths.includes('/proc/kcore')).toBe(masked);
  expect(context.readonlyPaths.includes('/proc/sys')).toBe(masked);
});

test('a container has its own capabilities, group, SELinux options and root file system, and the groups of its pod', () => {
  const own: Own = {
    capabilities: { add: ['NET_ADMIN'], drop: ['ALL'] },
    runAsGroup: 3,
    readOnlyRootFilesystem: true,
    seLinuxOptions: { level: 's0' },
  };
  const ofPod: OfPod = {
    runAsGroup: 4,
    seLinuxOptions: { level: 's1', user: 'u' },
    supplementalGroups: [8],
    fsGroup: 9,
    supplementalGroupsPolicy: 'Strict',
  };
  expect(contextOf(own, ofPod)).toMatchObject({
    capabilities: { addCapabilities: ['NET_ADMIN'], dropCapabilities: ['ALL'] },
    runAsGroup: { value: 3n },
    readonlyRootfs: true,
    selinuxOptions: { user: '', role: '', type: '', level: 's0' },
    supplementalGroups: [8n, 9n],
    supplementalGroupsPolicy: cri.SupplementalGroupsPolicy.Strict,
  });
  expect(contextOf({}, ofPod)).toMatchObject({ runAsGroup: { value: 4n }, selinuxOptions: { level: 's1', user: 'u' } });
});

test.each([
  [{}, [POD, CONTAINER, POD]],
  [{ shareProcessNamespace: true }, [POD, POD, POD]],
  [{ hostNetwork: true }, [NODE, CONTAINER, POD]],
  [{ hostPID: true, shareProcessNamespace: true }, [POD, NODE, POD]],
  [{ hostIPC: true }, [POD, CONTAINER, NODE]],
])('the pod %j has network, pid and ipc namespaces %j', (spec, modes) => {
  const { namespaceOptions } = sandboxSecurityContext(podOf({ containers: [], ...spec }), userNamespace);
  expect([namespaceOptions?.network, namespaceOptions?.pid, namespaceOptions?.ipc]).toEqual(modes);
});

test.each([
  [{}, {}, undefined, undefined, false],
  [{ runAsUser: 1, runAsGroup: 2 }, {}, 1n, 2n, false],
  [{ runAsGroup: 2 }, {}, undefined, undefined, false],
  [{}, { containers: [{ name: 'a', securityContext: { privileged: true } }] }, undefined, undefined, true],
  [{}, { initContainers: [{ name: 'a', securityContext: { privileged: true } }] }, undefined, undefined, true],
])(
  'the sandbox of a pod with %j and %j runs as %s:%s, privileged: %s',
  (securityContext, spec, user, group, privileged) => {
    const context = sandboxSecurityContext(podOf({ securityContext, ...spec }), userNamespace);
    expect([context.runAsUser?.value, context.runAsGroup?.value, context.privileged]).toEqual([
      user,
      group,
      privileged,
    ]);
    expect(context.seccomp?.profileType).toBe(RuntimeDefault);
  },
);
