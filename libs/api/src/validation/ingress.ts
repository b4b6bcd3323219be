import { isIP } from 'node:net';
import type { Ingress, IngressClass } from '../types';
import { forbidden, invalid, notSupported, required, tooLong, type FieldError } from './field-error';
import { validateName, validateOneOf, validateRequiredName } from './fields';
import {
  dns1035Problem,
  dnsLabelProblem,
  dnsSubdomainProblem,
  domainPrefixedPathProblem,
  isPort,
  pathSegmentProblem,
  portNameProblem,
  portRangeMessage,
  wildcardSubdomainProblem,
} from './names';

type Spec = NonNullable<Ingress['spec']>;
type Backend = NonNullable<Spec['defaultBackend']>;
type Path = NonNullable<NonNullable<Spec['rules']>[number]['http']>['paths'][number];

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix'];
const inPath = ['//', '/./', '/../', '%2f', '%2F'];
const atPathEnd = ['/..', '/.'];
export const ingressClassAnnotation = 'kubernetes.io/ingress.class';
const maxControllerLength = 250;
const parameterScopes = ['Cluster', 'Namespace'];

/** Source: pkg/apis/networking/validation. */
export function validateIngress({ spec = {} }: Ingress, errors: FieldError[]): void {
  if (!spec.rules?.length && !spec.defaultBackend)
    errors.push(invalid('spec', spec.rules ?? [], 'either `defaultBackend` or `rules` must be specified'));
  if (spec.defaultBackend) validateBackend(spec.defaultBackend, 'spec.defaultBackend', errors);
  for (const [index, rule] of (spec.rules ?? []).entries()) {
    const at = `spec.rules[${index}]`;
    if (rule.host) validateHost(rule.host, `${at}.host`, errors);
    if (!rule.http) continue;
    if (!rule.http.paths?.length) errors.push(required(`${at}.http.paths`));
    for (const [i, path] of (rule.http.paths ?? []).entries()) validatePath(path, `${at}.http.paths[${i}]`, errors);
  }
  for (const [index, tls] of (spec.tls ?? []).entries()) {
    const at = `spec.tls[${index}]`;
    for (const [i, host] of (tls.hosts ?? []).entries())
      validateName(
        host,
        host.includes('*') ? wildcardSubdomainProblem : dnsSubdomainProblem,
        `${at}.hosts[${i}]`,
        errors,
      );
    validateName(tls.secretName, dnsSubdomainProblem, `${at}.secretName`, errors);
  }
  validateName(spec.ingressClassName, dnsSubdomainProblem, 'spec.ingressClassName', errors);
}

/** Said once, in one of two ways. */
export function validateNewIngress({ metadata, spec }: Ingress, errors: FieldError[]): void {
  const value = metadata?.annotations?.[ingressClassAnnotation];
  if (value === undefined || spec?.ingressClassName === undefined) return;
  const path = `metadata.annotations[${ingressClassAnnotation}]`;
  errors.push(invalid(path, value, 'can not be set when the class field is also set'));
}

function validateHost(host: string, path: string, errors: FieldError[]): void {
  if (isIP(host) !== 0) errors.push(invalid(path, host, 'must be a DNS name, not an IP address'));
  else validateName(host, host.includes('*') ? wildcardSubdomainProblem : dnsSubdomainProblem, path, errors);
}

function validatePath({ path = '', pathType, backend }: Path, at: string, errors: FieldError[]): void {
  const where = `${at}.path`;
  if (pathType === undefined) errors.push(required(`${at}.pathType`, 'pathType must be specified'));
  else if (!pathTypes.includes(pathType)) errors.push(notSupported(`${at}.pathType`, pathType, pathTypes));
  else if (!path.startsWith('/') && (path !== '' || pathType !== 'ImplementationSpecific'))
    errors.push(invalid(where, path, 'must be an absolute path'));
  else if (pathType !== 'ImplementationSpecific') {
    for (const sequence of inPath)
      if (path.includes(sequence)) errors.push(invalid(where, path, `must not contain '${sequence}'`));
    for (const sequence of atPathEnd)
      if (path.endsWith(sequence)) errors.push(invalid(where, path, `cannot end with '${sequence}'`));
  }
  validateBackend(backend ?? {}, `${at}.backend`, errors);
}

function validateBackend({ service, resource }: Backend, path: string, errors: FieldError[]): void {
  if (service && resource) {
    errors.push(invalid(path, '', 'cannot set both resource and service backends'));
  } else if (resource) {
    validateName(resource.apiGroup, dnsSubdomainProblem, `${path}.resource.apiGroup`, errors);
    for (const field of ['kind', 'name'] as const)
      validateRequiredName(resource[field], pathSegmentProblem, `${path}.resource.${field}`, errors);
  } else if (service) {
    validateRequiredName(service.name, dns1035Problem, `${path}.service.name`, errors);
    const { name, number } = service.port ?? {};
    if (name && number) errors.push(invalid(path, '', 'cannot set both port name & port number'));
    else if (name) validateName(name, portNameProblem, `${path}.service.port.name`, errors);
    else if (!number) errors.push(required(path, 'port name or number is required'));
    else if (!isPort(number)) errors.push(invalid(`${path}.service.port.number`, number, portRangeMessage));
  } else {
    errors.push(invalid(path, '', 'resource or service backend is required'));
  }
}

export function validateIngressClass({ spec }: IngressClass, errors: FieldError[]): void {
  const controller = spec?.controller;
  if ((controller?.length ?? 0) > maxControllerLength) errors.push(tooLong('spec.controller', maxControllerLength));
  validateRequiredName(controller, domainPrefixedPathProblem, 'spec.controller', errors);
  const parameters = spec?.parameters;
  if (!parameters) return;
  const path = 'spec.parameters';
  validateName(parameters.apiGroup, dnsSubdomainProblem, `${path}.apiGroup`, errors);
  for (const field of ['kind', 'name'] as const)
    validateRequiredName(parameters[field], pathSegmentProblem, `${path}.${field}`, errors);
  validateOneOf(parameters.scope, parameterScopes, `${path}.scope`, errors);
  const { scope, namespace } = parameters;
  if (scope === 'Namespace')
    validateRequiredName(
      namespace,
      dnsLabelProblem,
      `${path}.namespace`,
      errors,
      "`parameters.scope` is set to 'Namespace'",
    );
  else if (scope === 'Cluster' && namespace !== undefined)
    errors.push(forbidden(`${path}.namespace`, "`parameters.scope` is set to 'Cluster'"));
}
