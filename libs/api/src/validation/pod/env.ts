import type { Container, Volume } from '../../types';
import { invalid, notFound, required, tooLong, type FieldError } from '../field-error';
import { validateRequiredName } from '../fields';
import { configKeyProblem, dnsSubdomainProblem, envVarNameProblem } from '../names';
import { validateFilePath } from './paths';
import { envFields, validateFieldRef, validateResourceFieldRef } from './downward-fields';

type EnvVar = NonNullable<Container['env']>[number];
type EnvFrom = NonNullable<Container['envFrom']>[number];

const maxFileKeyLength = 128;
const onlyOne = 'may not have more than one field specified at a time';

/** Source: core validation ValidateEnv and ValidateEnvFrom. */
export function validateEnv(
  { env, envFrom }: Container,
  volumes: ReadonlyMap<string, Volume>,
  at: string,
  errors: FieldError[],
): void {
  for (const [index, variable] of (env ?? []).entries()) {
    const path = `${at}.env[${index}]`;
    validateRequiredName(variable.name, envVarNameProblem, `${path}.name`, errors);
    validateValueFrom(variable, volumes, `${path}.valueFrom`, errors);
  }
  for (const [index, from] of (envFrom ?? []).entries()) validateSource(from, `${at}.envFrom[${index}]`, errors);
}

/** Only what another container of the pod has written. */
function validateFileKeyRef(
  { volumeName, path, key }: NonNullable<NonNullable<EnvVar['valueFrom']>['fileKeyRef']>,
  volumes: ReadonlyMap<string, Volume>,
  at: string,
  errors: FieldError[],
): void {
  validateRequiredName(key, envVarNameProblem, `${at}.key`, errors);
  if (key && key.length > maxFileKeyLength) errors.push(tooLong(`${at}.key`, maxFileKeyLength));
  if (!path) errors.push(required(`${at}.path`));
  else validateFilePath(path, `${at}.path`, errors);
  if (!volumeName) return void errors.push(required(`${at}.volumeName`));
  const volume = volumes.get(volumeName);
  if (!volume) errors.push(notFound(`${at}.volumeName`, volumeName));
  else if (!volume.emptyDir)
    errors.push(invalid(`${at}.volumeName`, volumeName, 'referenced volume must be of type emptyDir'));
}

function validateValueFrom(
  { value, valueFrom }: EnvVar,
  volumes: ReadonlyMap<string, Volume>,
  path: string,
  errors: FieldError[],
): void {
  if (!valueFrom) return;
  const { fieldRef, resourceFieldRef, fileKeyRef } = valueFrom;
  if (fileKeyRef) validateFileKeyRef(fileKeyRef, volumes, `${path}.fileKeyRef`, errors);
  if (fieldRef) validateFieldRef(fieldRef, envFields, `${path}.fieldRef`, errors);
  if (resourceFieldRef) validateResourceFieldRef(resourceFieldRef, `${path}.resourceFieldRef`, errors);
  for (const kind of ['configMapKeyRef', 'secretKeyRef'] as const) {
    const ref = valueFrom[kind];
    if (!ref) continue;
    const problem = dnsSubdomainProblem(ref.name ?? '');
    if (problem) errors.push(invalid(`${path}.${kind}.name`, ref.name ?? '', problem));
    validateRequiredName(ref.key, configKeyProblem, `${path}.${kind}.key`, errors);
  }
  const sources = Object.values(valueFrom).filter(source => source !== undefined).length;
  if (sources === 0) {
    const why =
      'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`';
    errors.push(invalid(path, '', why));
  } else if (value) errors.push(invalid(path, '', 'may not be specified when `value` is not empty'));
  else if (sources > 1) errors.push(invalid(path, '', onlyOne));
}

function validateSource({ prefix, configMapRef, secretRef }: EnvFrom, path: string, errors: FieldError[]): void {
  if (prefix) {
    const problem = envVarNameProblem(prefix);
    if (problem) errors.push(invalid(`${path}.prefix`, prefix, problem));
  }
  for (const [kind, ref] of Object.entries({ configMapRef, secretRef }))
    if (ref) validateRequiredName(ref.name, dnsSubdomainProblem, `${path}.${kind}.name`, errors);
  if (!configMapRef && !secretRef) errors.push(invalid(path, '', 'must specify one of: `configMapRef` or `secretRef`'));
  else if (configMapRef && secretRef) errors.push(invalid(path, '', onlyOne));
}
