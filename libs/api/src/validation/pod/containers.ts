import type { Container, Volume } from '../../types';
import { duplicate, forbidden, invalid, required, type FieldError } from '../field-error';
import { validateOneOf } from '../fields';
import { dnsLabelProblem, isPort, portNameProblem, portRangeMessage } from '../names';
import { validateEnv } from './env';
import { validateHandler, validateLivenessProbe, validateReadinessProbe } from './probes';
import { validateContainerClaims, type PodClaims } from './resource-claims';
import { validateResources } from './resources';
import { validateContainerRestartPolicy, validateResizePolicy } from './restart-policy';
import { validateContainerSecurity } from './security-context';
import { validateVolumeMounts } from './volume-mounts';

const pullPolicies = ['Always', 'IfNotPresent', 'Never'];
const protocols = ['SCTP', 'TCP', 'UDP'];
const messagePolicies = ['File', 'FallbackToLogsOnError'];

/** What the containers of one pod share. */
export interface PodContext {
  volumes: ReadonlyMap<string, Volume>;
  /** Names met so far, over all container lists. */
  names: Set<string>;
  /** "protocol/hostIP/port" of the host ports met so far. */
  hostPorts: Set<string>;
  hostNetwork: boolean;
  claims: PodClaims;
  restartPolicy: string | undefined;
  graceSeconds: number | undefined;
}

/** What holds for containers of every kind. Source: core validation validateContainerCommon. */
export function validateContainer(container: Container, at: string, context: PodContext, errors: FieldError[]): void {
  validateName(container.name, at, context, errors);
  validateImage(container, at, errors);
  validateOneOf(container.terminationMessagePolicy, messagePolicies, `${at}.terminationMessagePolicy`, errors);
  validatePorts(container, at, context, errors);
  validateEnv(container, context.volumes, at, errors);
  validateVolumeMounts(container, context.volumes, at, errors);
  validateResources(container.resources, `${at}.resources`, errors);
  validateContainerClaims(container, context.claims, at, errors);
  validateResizePolicy(container, context.restartPolicy, at, errors);
  validateContainerSecurity(container.securityContext, `${at}.securityContext`, errors);
}

/** Hooks and probes, of containers that last. */
function validateLife(container: Container, at: string, { graceSeconds }: PodContext, errors: FieldError[]): void {
  const { postStart, preStop } = container.lifecycle ?? {};
  if (postStart) validateHandler(postStart, `${at}.lifecycle.postStart`, errors, graceSeconds);
  if (preStop) validateHandler(preStop, `${at}.lifecycle.preStop`, errors, graceSeconds);
  validateLivenessProbe(container.livenessProbe, `${at}.livenessProbe`, errors);
  validateReadinessProbe(container.readinessProbe, `${at}.readinessProbe`, errors);
  validateLivenessProbe(container.startupProbe, `${at}.startupProbe`, errors);
}

export function validateContainers(
  containers: readonly Container[] | undefined,
  path: string,
  context: PodContext,
  errors: FieldError[],
): void {
  for (const [index, container] of (containers ?? []).entries()) {
    const at = `${path}[${index}]`;
    validateContainer(container, at, context, errors);
    validateLife(container, at, context, errors);
    validateContainerRestartPolicy(container, at, errors);
  }
}

/** Init containers run to completion, unless they are sidecars: probes and hooks need a lasting container. */
export function validateInitContainers(
  containers: readonly Container[] | undefined,
  path: string,
  context: PodContext,
  errors: FieldError[],
): void {
  for (const [index, container] of (containers ?? []).entries()) {
    const at = `${path}[${index}]`;
    // They run one by one, so each may have the ports of another.
    validateContainer(container, at, { ...context, hostPorts: new Set() }, errors);
    validateContainerRestartPolicy(container, at, errors);
    if (container.restartPolicy === 'Always') {
      validateLife(container, at, context, errors);
      continue;
    }
    for (const field of ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const)
      if (container[field])
        errors.push(forbidden(`${at}.${field}`, 'may not be set for init containers without restartPolicy=Always'));
  }
}

function validateName(name: string | undefined, at: string, context: PodContext, errors: FieldError[]): void {
  if (!name) {
    errors.push(required(`${at}.name`));
    return;
  }
  const problem = dnsLabelProblem(name);
  if (problem) errors.push(invalid(`${at}.name`, name, problem));
  if (context.names.has(name)) errors.push(duplicate(`${at}.name`, name));
  context.names.add(name);
}

function validateImage({ image, imagePullPolicy }: Container, at: string, errors: FieldError[]): void {
  if (!image) errors.push(required(`${at}.image`));
  else if (image !== image.trim())
    errors.push(invalid(`${at}.image`, image, 'must not have leading or trailing whitespace'));
  validateOneOf(imagePullPolicy, pullPolicies, `${at}.imagePullPolicy`, errors);
}

function validatePorts(container: Container, at: string, context: PodContext, errors: FieldError[]): void {
  const names = new Set<string>();
  for (const [index, port] of (container.ports ?? []).entries()) {
    const path = `${at}.ports[${index}]`;
    if (port.name) {
      const problem = portNameProblem(port.name);
      if (problem) errors.push(invalid(`${path}.name`, port.name, problem));
      else if (names.has(port.name)) errors.push(duplicate(`${path}.name`, port.name));
      names.add(port.name);
    }
    if (!port.containerPort) errors.push(required(`${path}.containerPort`));
    else if (!isPort(port.containerPort))
      errors.push(invalid(`${path}.containerPort`, port.containerPort, portRangeMessage));
    validateOneOf(port.protocol, protocols, `${path}.protocol`, errors);
    if (port.hostPort) {
      if (!isPort(port.hostPort)) errors.push(invalid(`${path}.hostPort`, port.hostPort, portRangeMessage));
      const identity = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`;
      if (context.hostPorts.has(identity)) errors.push(duplicate(`${path}.hostPort`, identity));
      context.hostPorts.add(identity);
    }
    // Only in a template it may be missing: pods have it by default.
    if (context.hostNetwork && port.hostPort && port.hostPort !== port.containerPort)
      errors.push(invalid(`${path}.hostPort`, port.hostPort, 'must match `containerPort` when `hostNetwork` is true'));
  }
}
