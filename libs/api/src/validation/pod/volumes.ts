import { parseNano } from '../../quantity';
import type { Volume } from '../../types';
import { duplicate, forbidden, invalid, required, type FieldError } from '../field-error';
import { validateChoice, validateRequiredName } from '../fields';
import { dnsLabelProblem, dnsSubdomainProblem } from '../names';
import { validateFieldRef, validateResourceFieldRef, volumeFields } from './downward-fields';
import { backstepMessage, hasBackstep, validateFilePath } from './paths';

type Source<K extends keyof Volume> = NonNullable<Volume[K]>;
type Items = Source<'secret'>['items'];
type DownwardItems = Source<'downwardAPI'>['items'];

const hostPathTypes = [
  ...['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'],
];
const pullPolicies = ['Always', 'IfNotPresent', 'Never'];
const maxMode = 0o777;
const minTokenSeconds = 600;
const maxTokenSeconds = 2 ** 32;
const maxDriverLength = 63;

/** Answers the volumes by their names. Source: core validation ValidateVolumes. */
export function validateVolumes(
  volumes: readonly Volume[] | undefined,
  path: string,
  errors: FieldError[],
): ReadonlyMap<string, Volume> {
  const byName = new Map<string, Volume>();
  for (const [index, volume] of (volumes ?? []).entries()) {
    const at = `${path}[${index}]`;
    validateSource(volume, at, errors);
    validateRequiredName(volume.name, dnsLabelProblem, `${at}.name`, errors);
    if (!volume.name) continue;
    if (byName.has(volume.name)) errors.push(duplicate(`${at}.name`, volume.name));
    byName.set(volume.name, volume);
  }
  return byName;
}

function validateSource(volume: Volume, at: string, errors: FieldError[]): void {
  const sources = Object.entries(volume).filter(([key, value]) => key !== 'name' && value !== undefined);
  if (sources.length === 0) errors.push(required(at, 'must specify a volume type'));
  for (const [extra] of sources.slice(1))
    errors.push(forbidden(`${at}.${extra}`, 'may not specify more than 1 volume type'));
  const { hostPath, secret, configMap, downwardAPI, projected, nfs, emptyDir, csi, image } = volume;
  if (hostPath) validateHostPath(hostPath, `${at}.hostPath`, errors);
  if (secret) {
    if (!secret.secretName) errors.push(required(`${at}.secret.secretName`));
    validateMode(secret.defaultMode, `${at}.secret.defaultMode`, errors);
    validateItems(secret.items, `${at}.secret.items`, errors);
  }
  if (configMap) {
    if (!configMap.name) errors.push(required(`${at}.configMap.name`));
    validateMode(configMap.defaultMode, `${at}.configMap.defaultMode`, errors);
    validateItems(configMap.items, `${at}.configMap.items`, errors);
  }
  if (downwardAPI) {
    validateMode(downwardAPI.defaultMode, `${at}.downwardAPI.defaultMode`, errors);
    validateDownward(downwardAPI.items, `${at}.downwardAPI`, errors);
  }
  if (projected) validateProjected(projected, `${at}.projected`, errors);
  if (volume.persistentVolumeClaim && !volume.persistentVolumeClaim.claimName)
    errors.push(required(`${at}.persistentVolumeClaim.claimName`));
  if (volume.ephemeral && !volume.ephemeral.volumeClaimTemplate)
    errors.push(required(`${at}.ephemeral.volumeClaimTemplate`));
  if (nfs) {
    if (!nfs.server) errors.push(required(`${at}.nfs.server`));
    if (!nfs.path) errors.push(required(`${at}.nfs.path`));
    if (!nfs.path?.startsWith('/')) errors.push(invalid(`${at}.nfs.path`, nfs.path, 'must be an absolute path'));
  }
  if (emptyDir?.sizeLimit !== undefined && parseNano(emptyDir.sizeLimit) < 0n)
    errors.push(forbidden(`${at}.emptyDir.sizeLimit`, 'SizeLimit field must be a valid resource quantity'));
  if (csi) validateCsi(csi, `${at}.csi`, errors);
  if (image) {
    if (!image.reference) errors.push(required(`${at}.image.reference`));
    validateChoice(image.pullPolicy, pullPolicies, `${at}.image.pullPolicy`, errors);
  }
}

function validateHostPath({ path, type }: Source<'hostPath'>, at: string, errors: FieldError[]): void {
  if (!path) {
    errors.push(required(`${at}.path`));
    return;
  }
  if (hasBackstep(path)) errors.push(invalid(`${at}.path`, path, backstepMessage));
  validateChoice(type, hostPathTypes, `${at}.type`, errors);
}

function validateCsi({ driver, nodePublishSecretRef }: Source<'csi'>, at: string, errors: FieldError[]): void {
  validateRequiredName(driver?.toLowerCase(), dnsSubdomainProblem, `${at}.driver`, errors);
  if ((driver?.length ?? 0) > maxDriverLength)
    errors.push(invalid(`${at}.driver`, driver, `must be no more than ${maxDriverLength} bytes`));
  if (nodePublishSecretRef && !nodePublishSecretRef.name) errors.push(required(`${at}.nodePublishSecretRef.name`));
}

function validateMode(mode: number | undefined, at: string, errors: FieldError[]): void {
  if (mode !== undefined && (mode < 0 || mode > maxMode))
    errors.push(invalid(at, mode, 'must be a number between 0 and 0777 (octal), both inclusive'));
}

function validateItems(items: Items, at: string, errors: FieldError[]): void {
  for (const [index, { key, path, mode }] of (items ?? []).entries()) {
    if (!key) errors.push(required(`${at}[${index}].key`));
    if (!path) errors.push(required(`${at}[${index}].path`));
    validateFilePath(path, `${at}[${index}].path`, errors);
    validateMode(mode, `${at}[${index}].mode`, errors);
  }
}

/** Upstream names the volume, not the file. */
function validateDownward(items: DownwardItems, at: string, errors: FieldError[]): void {
  for (const { path, mode, fieldRef, resourceFieldRef } of items ?? []) {
    if (!path) errors.push(required(`${at}.path`));
    validateFilePath(path, `${at}.path`, errors);
    validateMode(mode, `${at}.mode`, errors);
    if (fieldRef) validateFieldRef(fieldRef, volumeFields, `${at}.fieldRef`, errors);
    else if (resourceFieldRef)
      validateResourceFieldRef(resourceFieldRef, `${at}.resourceFieldRef`, errors, { ofVolume: true });
    else errors.push(required(at, 'one of fieldRef and resourceFieldRef is required'));
    if (fieldRef && resourceFieldRef)
      errors.push(invalid(at, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
  }
}

function validateProjected({ sources, defaultMode }: Source<'projected'>, at: string, errors: FieldError[]): void {
  validateMode(defaultMode, `${at}.defaultMode`, errors);
  const paths = new Set<string>();
  for (const [index, source] of (sources ?? []).entries()) {
    const from = `${at}.sources[${index}]`;
    const { secret, configMap, downwardAPI, serviceAccountToken: token } = source;
    if (Object.keys(source).length > 1) errors.push(forbidden(from, 'may not specify more than 1 volume type'));
    for (const [kind, each] of Object.entries({ secret, configMap })) {
      if (!each) continue;
      if (!each.name) errors.push(required(`${from}.${kind}.name`));
      validateItems(each.items, `${from}.${kind}.items`, errors);
    }
    if (downwardAPI) validateDownward(downwardAPI.items, `${from}.downwardAPI`, errors);
    if (token) validateToken(token, `${from}.serviceAccountToken`, errors);
    const files = [...((secret ?? configMap)?.items ?? []), ...(downwardAPI?.items ?? []), ...(token ? [token] : [])];
    for (const { path } of files) {
      if (path && paths.has(path))
        errors.push(invalid(at, (secret ?? configMap)?.name ?? path, 'conflicting duplicate paths'));
      paths.add(path);
    }
  }
}

function validateToken(
  { path, expirationSeconds: seconds }: { path: string; expirationSeconds?: number | undefined },
  at: string,
  errors: FieldError[],
): void {
  if (seconds !== undefined && seconds < minTokenSeconds)
    errors.push(invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'));
  if (seconds !== undefined && seconds > maxTokenSeconds)
    errors.push(invalid(`${at}.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds'));
  if (!path) errors.push(required(`${at}.path`));
  validateFilePath(path, `${at}.path`, errors);
}
