import path from 'node:path';
import type { Container, Pod } from '@naru/api';
import { cri } from '@naru/proto';
import { ContainerConfigError } from './config-error';

type PodSecurity = NonNullable<NonNullable<Pod['spec']>['securityContext']>;
type ContainerSecurity = NonNullable<Container['securityContext']>;
type SeccompProfile = NonNullable<PodSecurity['seccompProfile']>;
type Profile = ReturnType<typeof cri.SecurityProfile.fromPartial>;

/** Paths that a container must not see or write by default (procMount: Default). Source: pkg/securitycontext. */
const maskedPaths = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
];
const readonlyPaths = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const value = (number: number | undefined): { value: bigint } | undefined =>
  number === undefined ? undefined : { value: BigInt(number) };

/** Which of the pod's namespaces are shared with whom. */
function namespaceOptions(pod: Pod, usernsOptions: cri.UserNamespace): cri.NamespaceOption {
  const { hostNetwork, hostPID, hostIPC, shareProcessNamespace } = pod.spec ?? {};
  const { NODE, POD, CONTAINER } = cri.NamespaceMode;
  return cri.NamespaceOption.fromPartial({
    network: hostNetwork ? NODE : POD,
    pid: hostPID ? NODE : shareProcessNamespace ? POD : CONTAINER,
    ipc: hostIPC ? NODE : POD,
    usernsOptions,
  });
}

/** How this node treats seccomp. */
export interface SeccompSettings {
  /** Where Localhost profiles are. */
  directory: string;
  /** A container that says nothing gets the runtime's default profile instead of none. */
  defaultProfile: boolean;
}

function seccomp(profile: SeccompProfile | undefined, privileged: boolean, settings: SeccompSettings): Profile {
  const { RuntimeDefault, Unconfined, Localhost } = cri.SecurityProfile_ProfileType;
  if (privileged || profile?.type === 'Unconfined' || (!profile && !settings.defaultProfile)) {
    return cri.SecurityProfile.fromPartial({ profileType: Unconfined });
  }
  if (!profile || profile.type === 'RuntimeDefault') {
    return cri.SecurityProfile.fromPartial({ profileType: RuntimeDefault });
  }
  const localhostRef = path.join(settings.directory, profile.localhostProfile ?? '');
  return cri.SecurityProfile.fromPartial({ profileType: Localhost, localhostRef });
}

function appArmor(profile: { type: string; localhostProfile?: string | undefined } | undefined): Profile | undefined {
  const { RuntimeDefault, Unconfined, Localhost } = cri.SecurityProfile_ProfileType;
  if (!profile) return undefined;
  if (profile.type === 'Localhost') {
    return cri.SecurityProfile.fromPartial({ profileType: Localhost, localhostRef: profile.localhostProfile ?? '' });
  }
  return cri.SecurityProfile.fromPartial({
    profileType: profile.type === 'RuntimeDefault' ? RuntimeDefault : Unconfined,
  });
}

function selinux(options: PodSecurity['seLinuxOptions']): cri.SELinuxOption | undefined {
  if (!options) return undefined;
  const { user = '', role = '', type = '', level = '' } = options;
  return { user, role, type, level };
}

/** The groups of every process of the pod: its own list and the group that owns its volumes. */
function groups(security: PodSecurity | undefined): bigint[] {
  const all = [...(security?.supplementalGroups ?? []), ...(security?.fsGroup === undefined ? [] : [security.fsGroup])];
  return all.map(BigInt);
}

function groupsPolicy(security: PodSecurity | undefined): cri.SupplementalGroupsPolicy {
  const { Strict, Merge } = cri.SupplementalGroupsPolicy;
  return security?.supplementalGroupsPolicy === 'Strict' ? Strict : Merge;
}

export function isPrivileged(container: Container): boolean {
  return container.securityContext?.privileged ?? false;
}

export function sandboxSecurityContext(pod: Pod, userNamespace: cri.UserNamespace): cri.LinuxSandboxSecurityContext {
  const security = pod.spec?.securityContext;
  const all = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])];
  return cri.LinuxSandboxSecurityContext.fromPartial({
    namespaceOptions: namespaceOptions(pod, userNamespace),
    selinuxOptions: selinux(security?.seLinuxOptions),
    runAsUser: value(security?.runAsUser),
    runAsGroup: security?.runAsUser === undefined ? undefined : value(security.runAsGroup),
    supplementalGroups: groups(security),
    supplementalGroupsPolicy: groupsPolicy(security),
    privileged: all.some(isPrivileged),
    // The pause process has nothing to hide; upstream gives it the runtime's default profile.
    seccomp: cri.SecurityProfile.fromPartial({ profileType: cri.SecurityProfile_ProfileType.RuntimeDefault }),
  });
}

/** The user that an image names: a number, or a name that only the runtime can look up. */
export interface ImageUser {
  uid: number | undefined;
  username: string;
}

function verifyNonRoot(pod: Pod, container: Container, uid: number | undefined, image: ImageUser): void {
  const { name = '', namespace = '', uid: podUid = '' } = pod.metadata ?? {};
  const of = `pod: "${name}_${namespace}(${podUid})", container: ${container.name}`;
  if (uid === 0) throw new ContainerConfigError(`container's runAsUser breaks non-root policy (${of})`);
  if (uid !== undefined) return;
  if (image.uid === 0) throw new ContainerConfigError(`container has runAsNonRoot and image will run as root (${of})`);
  if (image.uid === undefined && image.username !== '') {
    throw new ContainerConfigError(
      `container has runAsNonRoot and image has non-numeric user (${image.username}), cannot verify user is non-root (${of})`,
    );
  }
  if (image.uid === undefined) {
    throw new ContainerConfigError(`container has runAsNonRoot and image will run as root (${of})`);
  }
}

/** The security of a container: its own settings over the pod's. Throws ContainerConfigError for a root that must not be. */
export function containerSecurityContext(
  pod: Pod,
  container: Container,
  image: ImageUser,
  settings: SeccompSettings,
  userNamespace: cri.UserNamespace,
): cri.LinuxContainerSecurityContext {
  const ofPod = pod.spec?.securityContext;
  const own: ContainerSecurity = container.securityContext ?? {};
  const privileged = own.privileged ?? false;
  const runAsUser = own.runAsUser ?? ofPod?.runAsUser;
  if (own.runAsNonRoot ?? ofPod?.runAsNonRoot) verifyNonRoot(pod, container, runAsUser, image);
  const unmasked = privileged || own.procMount === 'Unmasked';
  return cri.LinuxContainerSecurityContext.fromPartial({
    capabilities: {
      addCapabilities: own.capabilities?.add ?? [],
      dropCapabilities: own.capabilities?.drop ?? [],
    },
    privileged,
    namespaceOptions: namespaceOptions(pod, userNamespace),
    selinuxOptions: selinux(own.seLinuxOptions ?? ofPod?.seLinuxOptions),
    runAsUser: value(runAsUser ?? image.uid),
    runAsUsername: runAsUser === undefined && image.uid === undefined ? image.username : '',
    runAsGroup: value(own.runAsGroup ?? ofPod?.runAsGroup),
    readonlyRootfs: own.readOnlyRootFilesystem ?? false,
    supplementalGroups: groups(ofPod),
    supplementalGroupsPolicy: groupsPolicy(ofPod),
    noNewPrivs: own.allowPrivilegeEscalation === false && !privileged && !own.capabilities?.add?.includes('SYS_ADMIN'),
    maskedPaths: unmasked ? [] : maskedPaths,
    readonlyPaths: unmasked ? [] : readonlyPaths,
    seccomp: seccomp(own.seccompProfile ?? ofPod?.seccompProfile, privileged, settings),
    apparmor: appArmor(own.appArmorProfile ?? ofPod?.appArmorProfile),
  });
}
