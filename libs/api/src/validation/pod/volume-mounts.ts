import type { Container, Volume } from '../../types';
import { forbidden, invalid, notFound, required, type FieldError } from '../field-error';
import { validateChoice } from '../fields';
import { hasBackstep, validateRelativePath } from './paths';

type Mount = NonNullable<Container['volumeMounts']>[number];

const propagations = ['Bidirectional', 'HostToContainer', 'None'];
const recursions = ['Disabled', 'Enabled', 'IfPossible'];

/** Where volumes appear in a container, as files or as devices. Source: ValidateVolumeMounts and ValidateVolumeDevices. */
export function validateVolumeMounts(
  container: Container,
  volumes: ReadonlyMap<string, Volume>,
  path: string,
  errors: FieldError[],
): void {
  const { volumeMounts = [], volumeDevices = [] } = container;
  const paths = new Set<string>();
  const devices = new Set(volumeDevices.map(device => device.name));
  const devicePaths = new Set(volumeDevices.map(device => device.devicePath));
  for (const [index, mount] of volumeMounts.entries()) {
    const at = `${path}.volumeMounts[${index}]`;
    const { name, mountPath, mountPropagation } = mount;
    if (!name) errors.push(required(`${at}.name`));
    if (!volumes.has(name)) errors.push(notFound(`${at}.name`, name));
    if (!mountPath) errors.push(required(`${at}.mountPath`));
    if (paths.has(mountPath)) errors.push(invalid(`${at}.mountPath`, mountPath, 'must be unique'));
    paths.add(mountPath);
    if (devices.has(name)) errors.push(invalid(`${at}.name`, name, 'must not already exist in volumeDevices'));
    if (devicePaths.has(mountPath))
      errors.push(invalid(`${at}.mountPath`, mountPath, 'must not already exist as a path in volumeDevices'));
    validateSubPath(mount, at, errors);
    validateChoice(mountPropagation, propagations, `${at}.mountPropagation`, errors);
    if (mountPropagation === 'Bidirectional' && !container.securityContext?.privileged)
      errors.push(
        forbidden(
          `${at}.mountPropagation`,
          'Bidirectional mount propagation is available only to privileged containers',
        ),
      );
    validateRecursion(mount, `${at}.recursiveReadOnly`, errors);
  }
  validateDevices(container, volumes, path, errors);
}

function validateSubPath({ subPath, subPathExpr }: Mount, at: string, errors: FieldError[]): void {
  validateRelativePath(subPath, `${at}.subPath`, errors);
  validateRelativePath(subPathExpr, `${at}.subPathExpr`, errors);
  if (subPath && subPathExpr)
    errors.push(invalid(`${at}.subPathExpr`, subPathExpr, 'subPathExpr and subPath are mutually exclusive'));
}

function validateRecursion(mount: Mount, at: string, errors: FieldError[]): void {
  const { recursiveReadOnly: wanted, readOnly, mountPropagation = 'None' } = mount;
  validateChoice(wanted, recursions, at, errors);
  if (wanted !== 'Enabled' && wanted !== 'IfPossible') return;
  if (!readOnly) errors.push(forbidden(at, 'may only be specified when readOnly is true'));
  if (mountPropagation !== 'None')
    errors.push(forbidden(at, 'may only be specified when mountPropagation is None or not specified'));
}

function validateDevices(
  { volumeMounts = [], volumeDevices = [] }: Container,
  volumes: ReadonlyMap<string, Volume>,
  path: string,
  errors: FieldError[],
): void {
  const [names, paths] = [new Set<string>(), new Set<string>()];
  const mounted = new Set(volumeMounts.map(mount => mount.name));
  const mountPaths = new Set(volumeMounts.map(mount => mount.mountPath));
  for (const [index, { name, devicePath }] of volumeDevices.entries()) {
    const at = `${path}.volumeDevices[${index}]`;
    const volume = volumes.get(name);
    if (!name) errors.push(required(`${at}.name`));
    if (names.has(name)) errors.push(invalid(`${at}.name`, name, 'must be unique'));
    if (!volume) errors.push(notFound(`${at}.name`, name));
    else if (!volume.persistentVolumeClaim && !volume.ephemeral) {
      const why = 'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode';
      errors.push(invalid(`${at}.name`, name, why));
    }
    if (!devicePath) errors.push(required(`${at}.devicePath`));
    if (paths.has(devicePath)) errors.push(invalid(`${at}.devicePath`, devicePath, 'must be unique'));
    if (hasBackstep(devicePath))
      errors.push(invalid(`${at}.devicePath`, devicePath, "can not contain backsteps ('..')"));
    if (mounted.has(name)) errors.push(invalid(`${at}.name`, name, 'must not already exist in volumeMounts'));
    if (mountPaths.has(devicePath))
      errors.push(invalid(`${at}.devicePath`, devicePath, 'must not already exist as a path in volumeMounts'));
    names.add(name);
    paths.add(devicePath);
  }
}
