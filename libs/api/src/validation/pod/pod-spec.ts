import { isIP } from 'node:net';
import type { PodSpec, PodTemplateSpec } from '../../types';
import { invalid, notSupported, required, type FieldError } from '../field-error';
import { validateName, validateOneOf } from '../fields';
import { validateLabelSelector } from '../label-selector';
import { validateAnnotations, validateLabels } from '../metadata';
import { dnsLabelProblem, dnsSubdomainProblem, qualifiedNameProblem } from '../names';
import { validateTolerations } from '../taints';
import { validateAffinity } from './affinity';
import { validateContainers, validateIds, validateInitContainers, type PodContext } from './containers';
import { validateHostUsers } from './host-users';
import { validatePodLevelResources } from './pod-level-resources';
import { validateSysctls } from './sysctls';
import { validateReferenceName, validateVolumes } from './volumes';

const restartPolicies = ['Always', 'Never', 'OnFailure'];
const dnsPolicies = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None'];
const maxDeadlineSeconds = 2_147_483_647;
const maxNameservers = 3;

/** Source: pkg/apis/core/validation.ValidatePodSpec. */
export function validatePodSpec(spec: PodSpec | undefined, path: string, errors: FieldError[]): void {
  if (!spec) {
    errors.push(required(`${path}.containers`));
    return;
  }
  const context: PodContext = {
    volumes: validateVolumes(spec.volumes, `${path}.volumes`, errors),
    names: new Set(),
    hostPorts: new Set(),
    hostNetwork: spec.hostNetwork === true,
  };
  if (!spec.containers?.length) errors.push(required(`${path}.containers`));
  validateContainers(spec.containers, `${path}.containers`, context, errors);
  validateInitContainers(spec.initContainers, `${path}.initContainers`, context, errors);
  validatePodLevelResources(spec, path, errors);
  validateOneOf(spec.restartPolicy, restartPolicies, `${path}.restartPolicy`, errors);
  validateOneOf(spec.dnsPolicy, dnsPolicies, `${path}.dnsPolicy`, errors);
  validateDnsConfig(spec, path, errors);
  validateLabels(spec.nodeSelector, `${path}.nodeSelector`, errors);
  validateTolerations(spec.tolerations, `${path}.tolerations`, errors);
  validateAffinity(spec.affinity, `${path}.affinity`, errors);
  validateSpread(spec, path, errors);
  validateNames(spec, path, errors);
  validateSeconds(spec, path, errors);
  validateHostUsers(spec, path, errors);
  if (spec.securityContext) validateIds(spec.securityContext, `${path}.securityContext`, errors);
  validateSysctls(spec.securityContext?.sysctls ?? [], `${path}.securityContext.sysctls`, errors);
  for (const [index, alias] of (spec.hostAliases ?? []).entries())
    if (isIP(alias.ip) === 0)
      errors.push(
        invalid(
          `${path}.hostAliases[${index}].ip`,
          alias.ip,
          'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
      );
  for (const [index, gate] of (spec.readinessGates ?? []).entries())
    validateName(gate.conditionType, qualifiedNameProblem, `${path}.readinessGates[${index}].conditionType`, errors);
  for (const [index, gate] of (spec.schedulingGates ?? []).entries())
    validateName(gate.name, qualifiedNameProblem, `${path}.schedulingGates[${index}].name`, errors);
}

function validateNames(spec: PodSpec, path: string, errors: FieldError[]): void {
  validateName(spec.nodeName, dnsSubdomainProblem, `${path}.nodeName`, errors);
  validateName(spec.serviceAccountName, dnsSubdomainProblem, `${path}.serviceAccountName`, errors);
  validateName(spec.priorityClassName, dnsSubdomainProblem, `${path}.priorityClassName`, errors);
  validateName(spec.runtimeClassName, dnsSubdomainProblem, `${path}.runtimeClassName`, errors);
  validateName(spec.schedulerName, qualifiedNameProblem, `${path}.schedulerName`, errors);
  validateName(spec.hostname, dnsLabelProblem, `${path}.hostname`, errors);
  validateName(spec.subdomain, dnsLabelProblem, `${path}.subdomain`, errors);
  for (const [index, { name }] of (spec.imagePullSecrets ?? []).entries())
    validateReferenceName(name, `${path}.imagePullSecrets[${index}].name`, errors);
}

function validateSeconds(spec: PodSpec, path: string, errors: FieldError[]): void {
  const { activeDeadlineSeconds: deadline, terminationGracePeriodSeconds: grace } = spec;
  if (deadline !== undefined && (deadline < 1 || deadline > maxDeadlineSeconds))
    errors.push(
      invalid(`${path}.activeDeadlineSeconds`, deadline, `must be between 1 and ${maxDeadlineSeconds}, inclusive`),
    );
  if (grace !== undefined && grace < 0)
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than or equal to 0'));
}

function validateDnsConfig({ dnsPolicy, dnsConfig }: PodSpec, path: string, errors: FieldError[]): void {
  const nameservers = dnsConfig?.nameservers ?? [];
  if (dnsPolicy === 'None' && nameservers.length === 0)
    errors.push(
      required(`${path}.dnsConfig.nameservers`, 'must provide at least one DNS nameserver when `dnsPolicy` is None'),
    );
  if (nameservers.length > maxNameservers)
    errors.push(
      invalid(`${path}.dnsConfig.nameservers`, nameservers, `must not have more than ${maxNameservers} nameservers`),
    );
  for (const [index, server] of nameservers.entries())
    if (isIP(server) === 0)
      errors.push(
        invalid(
          `${path}.dnsConfig.nameservers[${index}]`,
          server,
          'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
      );
}

const unsatisfiableActions = ['DoNotSchedule', 'ScheduleAnyway'];

function validateSpread(spec: PodSpec, path: string, errors: FieldError[]): void {
  for (const [index, constraint] of (spec.topologySpreadConstraints ?? []).entries()) {
    const at = `${path}.topologySpreadConstraints[${index}]`;
    if (!(constraint.maxSkew > 0))
      errors.push(invalid(`${at}.maxSkew`, constraint.maxSkew, 'must be greater than zero'));
    if (!constraint.topologyKey) errors.push(required(`${at}.topologyKey`, 'can not be empty'));
    if (!unsatisfiableActions.includes(constraint.whenUnsatisfiable))
      errors.push(notSupported(`${at}.whenUnsatisfiable`, constraint.whenUnsatisfiable, unsatisfiableActions));
    validateLabelSelector(constraint.labelSelector, `${at}.labelSelector`, errors);
  }
}

/** The template of a workload: its own metadata and spec. */
export function validatePodTemplate(template: PodTemplateSpec | undefined, path: string, errors: FieldError[]): void {
  validateLabels(template?.metadata?.labels, `${path}.metadata.labels`, errors);
  validateAnnotations(template?.metadata?.annotations, `${path}.metadata.annotations`, errors);
  validatePodSpec(template?.spec, `${path}.spec`, errors);
}
