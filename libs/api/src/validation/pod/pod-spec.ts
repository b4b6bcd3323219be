import type { PodSpec, PodTemplateSpec } from '../../types';
import { duplicate, invalid, notSupported, required, type FieldError } from '../field-error';
import { validateChoice, validateName, validateOneOf } from '../fields';
import { validateAnnotations, validateLabels } from '../metadata';
import { dnsSubdomainProblem, qualifiedNameProblem } from '../names';
import { validateTolerations } from '../taints';
import { validateAffinity } from './affinity';
import { validateContainers, validateInitContainers, type PodContext } from './containers';
import { validateHostUsers } from './host-users';
import { validateNameResolution } from './name-resolution';
import { validatePodLevelResources } from './pod-level-resources';
import { validatePodClaims } from './resource-claims';
import { validateResources } from './resources';
import { validateForSystem, validatePodSecurity } from './security-context';
import { validateSpread } from './topology-spread';
import { validateVolumes } from './volumes';

const restartPolicies = ['Always', 'OnFailure', 'Never'];
const dnsPolicies = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None'];
const preemptionPolicies = ['PreemptLowerPriority', 'Never'];
const systems = ['linux', 'windows'];
const maxDeadlineSeconds = 2_147_483_647;

/** Source: pkg/apis/core/validation.ValidatePodSpec. */
export function validatePodSpec(spec: PodSpec | undefined, path: string, errors: FieldError[]): void {
  if (!spec) {
    errors.push(required(`${path}.containers`));
    return;
  }
  const context: PodContext = {
    volumes: validateVolumes(spec.volumes, `${path}.volumes`, errors),
    claims: validatePodClaims(spec.resourceClaims, `${path}.resourceClaims`, errors),
    names: new Set(),
    hostPorts: new Set(),
    hostNetwork: spec.hostNetwork === true,
    restartPolicy: spec.restartPolicy,
    graceSeconds: spec.terminationGracePeriodSeconds,
  };
  if (!spec.containers?.length) errors.push(required(`${path}.containers`));
  validateContainers(spec.containers, `${path}.containers`, context, errors);
  validateInitContainers(spec.initContainers, `${path}.initContainers`, context, errors);
  validatePodLevelResources(spec, path, errors);
  validateChoices(spec, path, errors);
  validateLabels(spec.nodeSelector, `${path}.nodeSelector`, errors);
  validateTolerations(spec.tolerations, `${path}.tolerations`, errors);
  validateAffinity(spec.affinity, `${path}.affinity`, errors);
  validateSpread(spec, path, errors);
  validateNames(spec, path, errors);
  validateSeconds(spec, path, errors);
  validateHostUsers(spec, path, errors);
  validatePodSecurity(spec, path, errors);
  validateForSystem(spec, path, errors);
  validateNameResolution(spec, path, errors);
  validateGates(spec, path, errors);
  validateResources({ limits: spec.overhead }, `${path}.overhead`, errors);
}

function validateChoices(spec: PodSpec, path: string, errors: FieldError[]): void {
  validateOneOf(spec.restartPolicy, restartPolicies, `${path}.restartPolicy`, errors);
  validateOneOf(spec.dnsPolicy, dnsPolicies, `${path}.dnsPolicy`, errors);
  validateChoice(spec.preemptionPolicy, preemptionPolicies, `${path}.preemptionPolicy`, errors);
  if (!spec.os) return;
  if (!spec.os.name) errors.push(required(`${path}.os.name`, 'cannot be empty'));
  else if (!systems.includes(spec.os.name)) errors.push(notSupported(`${path}.os`, spec.os.name, systems));
}

function validateGates({ readinessGates, schedulingGates }: PodSpec, path: string, errors: FieldError[]): void {
  for (const [index, gate] of (readinessGates ?? []).entries())
    validateName(gate.conditionType, qualifiedNameProblem, `${path}.readinessGates[${index}].conditionType`, errors);
  const seen = new Set<string>();
  for (const [index, { name }] of (schedulingGates ?? []).entries()) {
    const at = `${path}.schedulingGates[${index}]`;
    const problem = qualifiedNameProblem(name ?? '');
    if (problem) errors.push(invalid(at, name ?? '', problem));
    if (seen.has(name)) errors.push(duplicate(at, name));
    seen.add(name);
  }
}

function validateNames(spec: PodSpec, path: string, errors: FieldError[]): void {
  validateName(spec.nodeName, dnsSubdomainProblem, `${path}.nodeName`, errors);
  validateName(spec.serviceAccountName, dnsSubdomainProblem, `${path}.serviceAccountName`, errors);
  validateName(spec.priorityClassName, dnsSubdomainProblem, `${path}.priorityClassName`, errors);
  validateName(spec.runtimeClassName, dnsSubdomainProblem, `${path}.runtimeClassName`, errors);
  validateName(spec.schedulerName, qualifiedNameProblem, `${path}.schedulerName`, errors);
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

/** The template of a workload: its own metadata and spec. */
export function validatePodTemplate(template: PodTemplateSpec | undefined, path: string, errors: FieldError[]): void {
  validateLabels(template?.metadata?.labels, `${path}.metadata.labels`, errors);
  validateAnnotations(template?.metadata?.annotations, `${path}.metadata.annotations`, errors);
  validatePodSpec(template?.spec, `${path}.spec`, errors);
}
