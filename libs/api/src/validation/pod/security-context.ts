import type { Container, PodSpec } from '../../types';
import { forbidden, invalid, notSupported, required, tooLong, type FieldError } from '../field-error';
import { validateChoice } from '../fields';
import { validateSysctls } from './sysctls';
import { validateRelativePath } from './paths';

type PodSecurity = NonNullable<PodSpec['securityContext']>;
type ContainerSecurity = NonNullable<Container['securityContext']>;
type Profile = NonNullable<PodSecurity['seccompProfile']>;

const changePolicies = ['Always', 'OnRootMismatch'];
const groupsPolicies = ['Merge', 'Strict'];
const labelPolicies = ['MountOption', 'Recursive'];
const profileTypes = ['Localhost', 'RuntimeDefault', 'Unconfined'];
const maxId = 2_147_483_647;
const maxProfileLength = 4095;

/** Source: core validation validatePodSpecSecurityContext. */
export function validatePodSecurity(spec: PodSpec, specPath: string, errors: FieldError[]): void {
  const { securityContext: context, shareProcessNamespace, hostPID } = spec;
  const path = `${specPath}.securityContext`;
  if (shareProcessNamespace && hostPID)
    errors.push(
      invalid(`${path}.shareProcessNamespace`, true, 'ShareProcessNamespace and HostPID cannot both be enabled'),
    );
  if (!context) return;
  validateIds(context, path, errors);
  for (const [index, id] of (context.supplementalGroups ?? []).entries())
    validateId(id, `${path}.supplementalGroups[${index}]`, errors);
  validateSysctls(context.sysctls ?? [], spec, `${path}.sysctls`, errors);
  validateChoice(context.fsGroupChangePolicy, changePolicies, `${path}.fsGroupChangePolicy`, errors);
  validateChoice(context.supplementalGroupsPolicy, groupsPolicies, `${path}.supplementalGroupsPolicy`, errors);
  validateChoice(context.seLinuxChangePolicy, labelPolicies, `${path}.seLinuxChangePolicy`, errors);
  validateProfiles(context, path, errors);
}

/** Source: core validation ValidateSecurityContext. */
export function validateContainerSecurity(
  context: ContainerSecurity | undefined,
  path: string,
  errors: FieldError[],
): void {
  if (!context) return;
  validateIds(context, path, errors);
  validateProfiles(context, path, errors);
  if (context.allowPrivilegeEscalation !== false) return;
  const why = (what: string): string => `cannot set \`allowPrivilegeEscalation\` to false and ${what}`;
  if (context.privileged) errors.push(invalid(path, context, why('`privileged` to true')));
  if (context.capabilities?.add?.includes('CAP_SYS_ADMIN'))
    errors.push(invalid(path, context, why('`capabilities.Add` CAP_SYS_ADMIN')));
}

function validateIds(context: PodSecurity | ContainerSecurity, path: string, errors: FieldError[]): void {
  const { runAsUser, runAsGroup, fsGroup } = context as PodSecurity;
  for (const [field, id] of Object.entries({ runAsUser, runAsGroup, fsGroup }))
    if (id !== undefined) validateId(id, `${path}.${field}`, errors);
}

function validateId(id: number, path: string, errors: FieldError[]): void {
  if (id < 0 || id > maxId) errors.push(invalid(path, id, `must be between 0 and ${maxId}, inclusive`));
}

function validateProfiles(
  { seccompProfile, appArmorProfile }: Pick<PodSecurity, 'seccompProfile' | 'appArmorProfile'>,
  path: string,
  errors: FieldError[],
): void {
  if (seccompProfile) {
    const at = `${path}.seccompProfile`;
    if (validateProfile(seccompProfile, 'seccomp', at, errors))
      validateRelativePath(seccompProfile.localhostProfile, `${at}.localhostProfile`, errors);
  }
  if (!appArmorProfile) return;
  const at = `${path}.appArmorProfile`;
  if (!validateProfile(appArmorProfile, 'AppArmor', at, errors)) return;
  const { localhostProfile = '' } = appArmorProfile;
  const field = `${at}.localhostProfile`;
  if (localhostProfile !== localhostProfile.trim())
    errors.push(invalid(field, localhostProfile, 'must not be padded with whitespace'));
  else if (localhostProfile === '') errors.push(required(field, 'must be set when AppArmor type is Localhost'));
  if (localhostProfile.length > maxProfileLength) errors.push(tooLong(field, maxProfileLength));
}

/** True when it names a profile of the node, which is then to be looked at. */
function validateProfile(
  { type, localhostProfile }: Profile,
  kind: 'seccomp' | 'AppArmor',
  path: string,
  errors: FieldError[],
): boolean {
  const field = kind === 'seccomp' ? 'seccompProfile' : 'appArmorProfile';
  if (!type) errors.push(required(`${path}.type`, `type is required when ${field} is set`));
  else if (!profileTypes.includes(type)) errors.push(notSupported(`${path}.type`, type, profileTypes));
  const isLocal = type === 'Localhost';
  const at = `${path}.localhostProfile`;
  if (isLocal && localhostProfile === undefined)
    errors.push(required(at, `must be set when ${kind} type is Localhost`));
  if (!isLocal && localhostProfile !== undefined)
    errors.push(invalid(at, localhostProfile, `can only be set when ${kind} type is Localhost`));
  return isLocal && localhostProfile !== undefined;
}

const podFields = [
  ...['appArmorProfile', 'seLinuxOptions', 'seccompProfile', 'fsGroup', 'fsGroupChangePolicy', 'sysctls', 'runAsUser'],
  ...['runAsGroup', 'supplementalGroups', 'supplementalGroupsPolicy', 'seLinuxChangePolicy'],
] as const;
const containerFields = [
  ...['appArmorProfile', 'seLinuxOptions', 'seccompProfile', 'capabilities', 'readOnlyRootFilesystem', 'privileged'],
  ...['allowPrivilegeEscalation', 'procMount', 'runAsUser', 'runAsGroup'],
] as const;

/** What only the other operating system has. Source: core validation validateLinux and validateWindows. */
export function validateForSystem(spec: PodSpec, path: string, errors: FieldError[]): void {
  const windows = spec.os?.name === 'windows';
  if (!windows && spec.os?.name !== 'linux') return;
  const refuse = (context: object | undefined, fields: readonly string[], at: string): void => {
    const why = windows ? 'cannot be set for a windows pod' : 'windows options cannot be set for a linux pod';
    for (const field of windows ? fields : ['windowsOptions'])
      if (context && field in context) errors.push(forbidden(`${at}.${field}`, why));
  };
  refuse(spec.securityContext, podFields, `${path}.securityContext`);
  if (windows) refuse(spec, ['hostUsers', 'hostPID', 'hostIPC', 'shareProcessNamespace'], path);
  for (const list of ['containers', 'initContainers', 'ephemeralContainers'] as const)
    for (const [index, { securityContext }] of ((spec[list] ?? []) as Container[]).entries())
      refuse(securityContext, containerFields, `${path}.${list}[${index}].securityContext`);
}
