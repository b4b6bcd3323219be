import type { Container, Volume } from '../../types';
import { duplicate, forbidden, invalid, notFound, required, type FieldError } from '../field-error';
import { dnsLabelProblem, dnsSubdomainProblem } from '../names';

/** Answers the names of the volumes. */
export function validateVolumes(
  volumes: readonly Volume[] | undefined,
  path: string,
  errors: FieldError[],
): ReadonlyMap<string, Volume> {
  const byName = new Map<string, Volume>();
  for (const [index, volume] of (volumes ?? []).entries()) {
    const at = `${path}[${index}]`;
    validateSource(volume, at, errors);
    if (!volume.name) {
      errors.push(required(`${at}.name`));
      continue;
    }
    const problem = dnsLabelProblem(volume.name);
    if (problem) errors.push(invalid(`${at}.name`, volume.name, problem));
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
  const { hostPath, secret, configMap, persistentVolumeClaim, nfs, projected, emptyDir } = volume;
  if (hostPath) {
    if (!hostPath.path) errors.push(required(`${at}.hostPath.path`));
    else if (hasBackstep(hostPath.path)) errors.push(invalid(`${at}.hostPath.path`, hostPath.path, backstepMessage));
  }
  if (secret && !secret.secretName) errors.push(required(`${at}.secret.secretName`));
  if (configMap && !configMap.name) errors.push(required(`${at}.configMap.name`));
  if (persistentVolumeClaim && !persistentVolumeClaim.claimName)
    errors.push(required(`${at}.persistentVolumeClaim.claimName`));
  if (nfs) {
    if (!nfs.server) errors.push(required(`${at}.nfs.server`));
    if (!nfs.path) errors.push(required(`${at}.nfs.path`));
    else if (!nfs.path.startsWith('/')) errors.push(invalid(`${at}.nfs.path`, nfs.path, 'must be an absolute path'));
  }
  if (emptyDir?.sizeLimit?.startsWith('-'))
    errors.push(forbidden(`${at}.emptyDir.sizeLimit`, 'SizeLimit field must be a valid resource quantity'));
  for (const mode of [secret?.defaultMode, configMap?.defaultMode, projected?.defaultMode])
    if (mode !== undefined && (mode < 0 || mode > 0o777))
      errors.push(invalid(`${at}.defaultMode`, mode, 'must be a number between 0 and 0777 (octal), both inclusive'));
  for (const list of [secret?.items, configMap?.items])
    for (const [index, item] of (list ?? []).entries()) {
      if (!item.key) errors.push(required(`${at}.items[${index}].key`));
      validateRelativePath(item.path, `${at}.items[${index}].path`, errors);
    }
  for (const [index, source] of (projected?.sources ?? []).entries()) {
    const from = `${at}.projected.sources[${index}]`;
    if (Object.keys(source).length > 1) errors.push(forbidden(from, 'may not specify more than 1 volume type'));
    if (source.secret && !source.secret.name) errors.push(required(`${from}.secret.name`));
    if (source.configMap && !source.configMap.name) errors.push(required(`${from}.configMap.name`));
    if (source.serviceAccountToken) validateRelativePath(source.serviceAccountToken.path, `${from}.path`, errors);
  }
}

const backstepMessage = "must not contain '..'";

function hasBackstep(path: string): boolean {
  return path.split('/').includes('..');
}

function validateRelativePath(path: string | undefined, at: string, errors: FieldError[]): void {
  if (!path) errors.push(required(at));
  else if (path.startsWith('/')) errors.push(invalid(at, path, 'must be a relative path'));
  else if (hasBackstep(path)) errors.push(invalid(at, path, backstepMessage));
}

export function validateVolumeMounts(
  container: Container,
  volumes: ReadonlyMap<string, Volume>,
  path: string,
  errors: FieldError[],
): void {
  const paths = new Set<string>();
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const at = `${path}.volumeMounts[${index}]`;
    if (!mount.name) errors.push(required(`${at}.name`));
    else if (!volumes.has(mount.name)) errors.push(notFound(`${at}.name`, mount.name));
    if (!mount.mountPath) errors.push(required(`${at}.mountPath`));
    else if (paths.has(mount.mountPath)) errors.push(invalid(`${at}.mountPath`, mount.mountPath, 'must be unique'));
    paths.add(mount.mountPath);
    if (mount.subPath) validateRelativePath(mount.subPath, `${at}.subPath`, errors);
    if (mount.subPathExpr) {
      if (mount.subPath)
        errors.push(invalid(`${at}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'));
      validateRelativePath(mount.subPathExpr, `${at}.subPathExpr`, errors);
    }
  }
  for (const [index, device] of (container.volumeDevices ?? []).entries()) {
    if (!volumes.get(device.name)?.persistentVolumeClaim && !volumes.get(device.name)?.ephemeral)
      errors.push(notFound(`${path}.volumeDevices[${index}].name`, device.name));
  }
}

export function validateReferenceName(name: string | undefined, at: string, errors: FieldError[]): void {
  if (!name) return;
  const problem = dnsSubdomainProblem(name);
  if (problem) errors.push(invalid(at, name, problem));
}
