import type { Container, Volume } from '../../types';
import { duplicate, forbidden, invalid, notSupported, required, type FieldError } from '../field-error';
import { dnsLabelProblem, envVarNameProblem, isPort, portNameProblem, portRangeMessage } from '../names';
import { validateHandler, validateOneSuccess, validateProbe } from './probes';
import { validateResources } from './resources';
import { validateVolumeMounts } from './volumes';

const pullPolicies = ['Always', 'IfNotPresent', 'Never'];
const protocols = ['SCTP', 'TCP', 'UDP'];
const terminationPolicies = ['FallbackToLogsOnError', 'File'];

/** What the containers of one pod share. */
export interface PodContext {
  volumes: ReadonlyMap<string, Volume>;
  /** Names met so far, over all container lists. */
  names: Set<string>;
  /** "protocol/hostIP/port" of the host ports met so far. */
  hostPorts: Set<string>;
  hostNetwork: boolean;
}

export function validateContainers(
  containers: readonly Container[] | undefined,
  path: string,
  context: PodContext,
  errors: FieldError[],
): void {
  for (const [index, container] of (containers ?? []).entries()) {
    const at = `${path}[${index}]`;
    validateName(container.name, at, context, errors);
    validateImage(container, at, errors);
    validatePorts(container, at, context, errors);
    validateEnv(container, at, errors);
    validateVolumeMounts(container, context.volumes, at, errors);
    validateProbe(container.livenessProbe, `${at}.livenessProbe`, errors);
    validateOneSuccess(container.livenessProbe, `${at}.livenessProbe`, errors);
    validateProbe(container.readinessProbe, `${at}.readinessProbe`, errors);
    validateProbe(container.startupProbe, `${at}.startupProbe`, errors);
    validateOneSuccess(container.startupProbe, `${at}.startupProbe`, errors);
    const { postStart, preStop } = container.lifecycle ?? {};
    if (postStart) validateHandler(postStart, `${at}.lifecycle.postStart`, errors);
    if (preStop) validateHandler(preStop, `${at}.lifecycle.preStop`, errors);
    validateResources(container.resources, `${at}.resources`, errors);
    validateSecurity(container, at, errors);
    if (!terminationPolicies.includes(container.terminationMessagePolicy ?? ''))
      errors.push(
        container.terminationMessagePolicy
          ? notSupported(`${at}.terminationMessagePolicy`, container.terminationMessagePolicy, terminationPolicies)
          : required(`${at}.terminationMessagePolicy`),
      );
  }
}

/** Init containers run to completion, unless they are sidecars: probes and hooks need a lasting container. */
export function validateInitContainers(
  containers: readonly Container[] | undefined,
  path: string,
  context: PodContext,
  errors: FieldError[],
): void {
  validateContainers(containers, path, context, errors);
  for (const [index, container] of (containers ?? []).entries()) {
    const at = `${path}[${index}]`;
    if (container.restartPolicy === 'Always') continue;
    if (container.restartPolicy && !['OnFailure', 'Never'].includes(container.restartPolicy))
      errors.push(notSupported(`${at}.restartPolicy`, container.restartPolicy, ['Always', 'Never', 'OnFailure']));
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
  if (!imagePullPolicy) errors.push(required(`${at}.imagePullPolicy`));
  else if (!pullPolicies.includes(imagePullPolicy))
    errors.push(notSupported(`${at}.imagePullPolicy`, imagePullPolicy, pullPolicies));
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
    if (!protocols.includes(port.protocol ?? ''))
      errors.push(
        port.protocol ? notSupported(`${path}.protocol`, port.protocol, protocols) : required(`${path}.protocol`),
      );
    if (port.hostPort) {
      if (!isPort(port.hostPort)) errors.push(invalid(`${path}.hostPort`, port.hostPort, portRangeMessage));
      const identity = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`;
      if (context.hostPorts.has(identity)) errors.push(duplicate(`${path}.hostPort`, identity));
      context.hostPorts.add(identity);
    }
    if (context.hostNetwork && port.hostPort !== undefined && port.hostPort !== port.containerPort)
      errors.push(
        invalid(`${path}.containerPort`, port.containerPort, 'must match `hostPort` when `hostNetwork` is true'),
      );
  }
}

function validateEnv(container: Container, at: string, errors: FieldError[]): void {
  for (const [index, env] of (container.env ?? []).entries()) {
    const path = `${at}.env[${index}]`;
    if (!env.name) errors.push(required(`${path}.name`));
    else {
      const problem = envVarNameProblem(env.name);
      if (problem) errors.push(invalid(`${path}.name`, env.name, problem));
    }
    if (!env.valueFrom) continue;
    const sources = Object.keys(env.valueFrom).length;
    if (sources === 0)
      errors.push(
        invalid(
          `${path}.valueFrom`,
          '',
          'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`',
        ),
      );
    else if (sources > 1)
      errors.push(invalid(`${path}.valueFrom`, '', 'may not have more than one field specified at a time'));
    if (env.value) errors.push(invalid(`${path}.valueFrom`, '', 'may not be specified when `value` is not empty'));
    for (const reference of ['configMapKeyRef', 'secretKeyRef'] as const) {
      const ref = env.valueFrom[reference];
      if (ref && !ref.key) errors.push(required(`${path}.valueFrom.${reference}.key`));
    }
    if (env.valueFrom.fieldRef && !env.valueFrom.fieldRef.fieldPath)
      errors.push(required(`${path}.valueFrom.fieldRef.fieldPath`));
    if (env.valueFrom.resourceFieldRef && !env.valueFrom.resourceFieldRef.resource)
      errors.push(required(`${path}.valueFrom.resourceFieldRef.resource`));
  }
  for (const [index, from] of (container.envFrom ?? []).entries()) {
    const path = `${at}.envFrom[${index}]`;
    if (!from.configMapRef && !from.secretRef)
      errors.push(invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
    else if (from.configMapRef && from.secretRef)
      errors.push(invalid(path, '', 'may not have more than one field specified at a time'));
    else if (!(from.configMapRef ?? from.secretRef)?.name)
      errors.push(required(`${path}.${from.configMapRef ? 'configMapRef' : 'secretRef'}.name`));
  }
}

function validateSecurity({ securityContext }: Container, at: string, errors: FieldError[]): void {
  if (!securityContext) return;
  const path = `${at}.securityContext`;
  validateIds(securityContext, path, errors);
  if (securityContext.allowPrivilegeEscalation !== false) return;
  if (securityContext.privileged)
    errors.push(
      invalid(path, securityContext, 'cannot set `allowPrivilegeEscalation` to false and `privileged` to true'),
    );
  if (securityContext.capabilities?.add?.includes('CAP_SYS_ADMIN'))
    errors.push(
      invalid(
        path,
        securityContext,
        'cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN',
      ),
    );
}

const maxId = 2_147_483_647;

export function validateIds(
  context: { runAsUser?: number | undefined; runAsGroup?: number | undefined; fsGroup?: number | undefined },
  path: string,
  errors: FieldError[],
): void {
  for (const field of ['runAsUser', 'runAsGroup', 'fsGroup'] as const) {
    const id = context[field];
    if (id !== undefined && (id < 0 || id > maxId))
      errors.push(invalid(`${path}.${field}`, id, `must be between 0 and ${maxId}, inclusive`));
  }
}
