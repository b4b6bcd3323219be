import { isExtendedResource } from '../devices/extended-resource';
import type { DeviceClass, ResourceClaim, ResourceSlice } from '../types';
import { validateDriverName } from './csi';
import { duplicate, invalid, notSupported, required, tooMany, type FieldError } from './field-error';
import { validateRequiredName } from './fields';
import { dnsLabelProblem, dnsSubdomainProblem, qualifiedNameProblem } from './names';

export type ClaimSpec = ResourceClaim['spec'];
type Claim = NonNullable<ClaimSpec['devices']>;
type Request = NonNullable<Claim['requests']>[number];
type ExactRequest = NonNullable<Request['exactly']>;
type Selector = NonNullable<ExactRequest['selectors']>[number];
type Configuration = NonNullable<DeviceClass['spec']['config']>[number];

const maxRequests = 32;
const maxSelectors = 32;
const maxConstraints = 32;
const maxConfigurations = 32;
const maxAlternatives = 8;
const maxReserved = 256;
const maxDevices = 128;
const maxExpressionBytes = 10 * 1024;
const allocationModes = ['All', 'ExactCount'];

/** One device of a class, unless more is said. Source: pkg/apis/resource/v1/defaults.go. */
export function defaultClaimSpec(spec: ClaimSpec | undefined): void {
  for (const { exactly, firstAvailable } of spec?.devices?.requests ?? [])
    for (const request of [...(exactly ? [exactly] : []), ...(firstAvailable ?? [])]) {
      request.allocationMode ??= 'ExactCount';
      if (request.allocationMode === 'ExactCount') request.count ??= 1;
      for (const toleration of request.tolerations ?? []) toleration.operator ??= 'Equal';
    }
}

/** Source: pkg/apis/resource/validation. */
export function validateClaimSpec(spec: ClaimSpec | undefined, path: string, errors: FieldError[]): void {
  const { requests = [], constraints = [], config = [] } = spec?.devices ?? {};
  const at = `${path}.devices`;
  if (requests.length > maxRequests) errors.push(tooMany(`${at}.requests`, requests.length, maxRequests));
  const names = new Set<string>();
  for (const [index, request] of requests.entries()) {
    const where = `${at}.requests[${index}]`;
    validateRequiredName(request.name, dnsLabelProblem, `${where}.name`, errors);
    if (names.has(request.name)) errors.push(duplicate(`${where}.name`, request.name));
    names.add(request.name);
    validateRequest(request, where, errors);
  }
  for (const request of requests)
    for (const alternative of request.firstAvailable ?? []) names.add(`${request.name}/${alternative.name}`);
  if (constraints.length > maxConstraints)
    errors.push(tooMany(`${at}.constraints`, constraints.length, maxConstraints));
  for (const [index, constraint] of constraints.entries()) {
    const where = `${at}.constraints[${index}]`;
    validateRequestNames(constraint.requests, names, `${where}.requests`, errors);
    if (!constraint.matchAttribute && !constraint.distinctAttribute) errors.push(required(`${where}.matchAttribute`));
  }
  validateConfigurations(config, `${at}.config`, errors);
  for (const [index, { requests: about }] of config.entries())
    validateRequestNames(about, names, `${at}.config[${index}].requests`, errors);
}

function validateRequest({ exactly, firstAvailable }: Request, at: string, errors: FieldError[]): void {
  if (exactly && firstAvailable)
    errors.push(invalid(at, {}, 'exactly one of `exactly` or `firstAvailable` is required'));
  else if (exactly) validateExact(exactly, `${at}.exactly`, errors);
  else if (!firstAvailable) errors.push(required(at, 'exactly one of `exactly` or `firstAvailable` is required'));
  if ((firstAvailable?.length ?? 0) > maxAlternatives)
    errors.push(tooMany(`${at}.firstAvailable`, firstAvailable?.length ?? 0, maxAlternatives));
  const names = new Set<string>();
  for (const [index, alternative] of (firstAvailable ?? []).entries()) {
    const where = `${at}.firstAvailable[${index}]`;
    validateRequiredName(alternative.name, dnsLabelProblem, `${where}.name`, errors);
    if (names.has(alternative.name)) errors.push(duplicate(`${where}.name`, alternative.name));
    names.add(alternative.name);
    validateExact(alternative, where, errors);
  }
}

function validateExact(
  { deviceClassName, selectors, allocationMode, count }: Omit<ExactRequest, 'adminAccess'>,
  at: string,
  errors: FieldError[],
): void {
  validateRequiredName(deviceClassName, dnsSubdomainProblem, `${at}.deviceClassName`, errors);
  validateSelectors(selectors, `${at}.selectors`, errors);
  if (allocationMode === 'All') {
    if (count) errors.push(invalid(`${at}.count`, count, `must not be specified when allocationMode is 'All'`));
  } else if (allocationMode === 'ExactCount') {
    if (!count || count <= 0) errors.push(invalid(`${at}.count`, count ?? 0, 'must be greater than zero'));
  } else {
    errors.push(notSupported(`${at}.allocationMode`, allocationMode ?? '', allocationModes));
  }
}

/** The form alone: whether the expressions compile is asked where CEL is loaded. */
function validateSelectors(selectors: readonly Selector[] | undefined, path: string, errors: FieldError[]): void {
  const all = selectors ?? [];
  if (all.length > maxSelectors) errors.push(tooMany(path, all.length, maxSelectors));
  for (const [index, { cel }] of all.entries()) {
    if (!cel) errors.push(required(`${path}[${index}].cel`));
    else if (!cel.expression) errors.push(required(`${path}[${index}].cel.expression`));
    else if (Buffer.byteLength(cel.expression) > maxExpressionBytes)
      errors.push({
        type: 'FieldValueTooLong',
        field: `${path}[${index}].cel.expression`,
        detail: `may not be more than ${maxExpressionBytes} bytes`,
      });
  }
}

function validateConfigurations(all: readonly Configuration[], path: string, errors: FieldError[]): void {
  if (all.length > maxConfigurations) errors.push(tooMany(path, all.length, maxConfigurations));
  for (const [index, { opaque }] of all.entries()) {
    const at = `${path}[${index}].opaque`;
    if (!opaque) {
      errors.push(required(at));
      continue;
    }
    validateDriverName(opaque.driver, `${at}.driver`, errors);
    const { parameters } = opaque as { parameters?: unknown };
    if (parameters === undefined || parameters === null) errors.push(required(`${at}.parameters`));
    else if (typeof parameters !== 'object' || Array.isArray(parameters))
      errors.push(invalid(`${at}.parameters`, parameters, 'must be a valid JSON object'));
  }
}

function validateRequestNames(
  given: readonly string[] | undefined,
  known: ReadonlySet<string>,
  path: string,
  errors: FieldError[],
): void {
  const seen = new Set<string>();
  for (const [index, name] of (given ?? []).entries()) {
    if (!known.has(name)) errors.push(invalid(`${path}[${index}]`, name, 'must be the name of a request in the claim'));
    if (seen.has(name)) errors.push(duplicate(`${path}[${index}]`, name));
    seen.add(name);
  }
}

export function validateClaimStatus(next: ResourceClaim, _old: ResourceClaim, errors: FieldError[]): void {
  const { reservedFor = [], allocation } = next.status ?? {};
  const path = 'status.reservedFor';
  if (reservedFor.length > maxReserved) errors.push(tooMany(path, reservedFor.length, maxReserved));
  const seen = new Set<string>();
  for (const [index, { resource, name, uid }] of reservedFor.entries()) {
    for (const [field, value] of Object.entries({ resource, name, uid }))
      if (!value) errors.push(required(`${path}[${index}].${field}`));
    if (seen.has(uid)) errors.push(duplicate(`${path}[${index}].uid`, uid));
    seen.add(uid);
  }
  if (reservedFor.length > 0 && !allocation)
    errors.push({
      type: 'FieldValueForbidden',
      field: path,
      detail: 'may not be specified when `allocated` is not set',
    });
}

export function validateDeviceClass({ spec }: DeviceClass, errors: FieldError[]): void {
  validateSelectors(spec?.selectors, 'spec.selectors', errors);
  validateConfigurations(spec?.config ?? [], 'spec.config', errors);
  const name = spec?.extendedResourceName;
  if (name !== undefined && !isExtendedResource(name))
    errors.push(invalid('spec.extendedResourceName', name, 'must be a valid extended resource name'));
}

const places = ['nodeName', 'nodeSelector', 'allNodes', 'perDeviceNodeSelection'] as const;

export function validateSlice({ spec }: ResourceSlice, errors: FieldError[]): void {
  validateDriverName(spec?.driver, 'spec.driver', errors);
  if (!spec?.pool?.name) errors.push(required('spec.pool.name'));
  for (const part of spec?.pool?.name?.split('/') ?? []) {
    const problem = part === '' ? undefined : dnsSubdomainProblem(part);
    if (problem) errors.push(invalid('spec.pool.name', spec?.pool.name, problem));
  }
  if ((spec?.pool?.resourceSliceCount ?? 0) <= 0)
    errors.push(
      invalid('spec.pool.resourceSliceCount', spec?.pool?.resourceSliceCount ?? 0, 'must be greater than zero'),
    );
  if ((spec?.pool?.generation ?? 0) < 0)
    errors.push(invalid('spec.pool.generation', spec?.pool?.generation, 'must be greater than or equal to zero'));
  const given = places.filter(place => spec?.[place]);
  const choice = 'exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required';
  if (given.length === 0) errors.push(required('spec', choice));
  else if (given.length > 1) errors.push(invalid('spec', `{${given.join(', ')}}`, choice));
  const devices = spec?.devices ?? [];
  if (devices.length > maxDevices) errors.push(tooMany('spec.devices', devices.length, maxDevices));
  const names = new Set<string>();
  for (const [index, device] of devices.entries()) {
    const at = `spec.devices[${index}]`;
    validateRequiredName(device.name, dnsLabelProblem, `${at}.name`, errors);
    if (names.has(device.name)) errors.push(duplicate(`${at}.name`, device.name));
    names.add(device.name);
    for (const taint of device.taints ?? []) {
      const problem = taint.key ? qualifiedNameProblem(taint.key) : undefined;
      if (problem) errors.push(invalid(`${at}.taints.key`, taint.key, problem));
    }
  }
}
