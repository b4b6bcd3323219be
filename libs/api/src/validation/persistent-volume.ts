import { deepEqual } from '../deep-equal';
import { parseNano } from '../quantity';
import type { PersistentVolume, PersistentVolumeClaim } from '../types';
import { validateDriverName } from './csi';
import { forbidden, invalid, notSupported, required, type FieldError } from './field-error';
import { validateChoice, validateName } from './fields';
import { validateLabelSelector } from './label-selector';
import { dnsSubdomainProblem } from './names';
import { immutableMessage } from './workload';

type VolumeSpec = NonNullable<PersistentVolume['spec']>;

const modes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod'];
const volumeModes = ['Block', 'Filesystem'];
const reclaimPolicies = ['Delete', 'Recycle', 'Retain'];
/** What of a volume's spec is not where its data are. */
const aboutVolume = new Set(
  `accessModes capacity claimRef mountOptions nodeAffinity persistentVolumeReclaimPolicy storageClassName
  volumeAttributesClassName volumeMode`.split(/\s+/),
);

function validateAccessModes(given: readonly string[] | undefined, errors: FieldError[]): void {
  const path = 'spec.accessModes';
  if (!given?.length) errors.push(required(path, 'at least 1 access mode is required'));
  for (const mode of given ?? []) if (!modes.includes(mode)) errors.push(notSupported(path, mode, modes));
  if (given?.includes('ReadWriteOncePod') && given.length > 1)
    errors.push(forbidden(path, 'may not use ReadWriteOncePod with other access modes'));
}

function validatePositive(amount: string | undefined, path: string, errors: FieldError[]): void {
  if (amount !== undefined && parseNano(amount) <= 0n) errors.push(invalid(path, amount, 'must be greater than zero'));
}

function sourcesOf(spec: VolumeSpec | undefined): string[] {
  return Object.keys(spec ?? {}).filter(key => !aboutVolume.has(key));
}

/** Source: pkg/apis/core/validation.ValidatePersistentVolume. */
export function validateVolume({ spec }: PersistentVolume, errors: FieldError[]): void {
  validateAccessModes(spec?.accessModes, errors);
  const capacity = spec?.capacity ?? {};
  if (Object.keys(capacity).length === 0) errors.push(required('spec.capacity'));
  else if (!capacity['storage'] || Object.keys(capacity).length > 1)
    errors.push(notSupported('spec.capacity', capacity, ['storage']));
  for (const name in capacity) validatePositive(capacity[name], `spec.capacity[${name}]`, errors);
  validateSource(spec, errors);
  validateChoice(
    spec?.persistentVolumeReclaimPolicy ?? '',
    reclaimPolicies,
    'spec.persistentVolumeReclaimPolicy',
    errors,
  );
  if (spec?.hostPath?.path === '/' && spec.persistentVolumeReclaimPolicy === 'Recycle')
    errors.push(forbidden('spec.persistentVolumeReclaimPolicy', "may not be 'recycle' for a hostPath mount of '/'"));
  validateName(spec?.storageClassName, dnsSubdomainProblem, 'spec.storageClassName', errors);
  validateChoice(spec?.volumeMode, volumeModes, 'spec.volumeMode', errors);
}

function validateSource(spec: VolumeSpec | undefined, errors: FieldError[]): void {
  const [source, ...more] = sourcesOf(spec);
  if (!source) errors.push(required('spec', 'must specify a volume type'));
  for (const other of more) errors.push(forbidden(`spec.${other}`, 'may not specify more than 1 volume type'));
  const { hostPath, local, nfs, csi } = spec ?? {};
  if (hostPath) validatePath(hostPath.path, 'spec.hostPath.path', errors);
  if (local) {
    validatePath(local.path, 'spec.local.path', errors);
    if (!spec?.nodeAffinity?.required)
      errors.push(required('spec.nodeAffinity', 'Local volume requires node affinity'));
  }
  if (nfs) {
    if (!nfs.server) errors.push(required('spec.nfs.server'));
    if (!nfs.path) errors.push(required('spec.nfs.path'));
    else if (!nfs.path.startsWith('/')) errors.push(invalid('spec.nfs.path', nfs.path, 'must be an absolute path'));
  }
  if (csi) {
    validateDriverName(csi.driver, 'spec.csi.driver', errors);
    if (!csi.volumeHandle) errors.push(required('spec.csi.volumeHandle'));
  }
}

function validatePath(path: string | undefined, at: string, errors: FieldError[]): void {
  if (!path) errors.push(required(at));
  else if (path.split('/').includes('..')) errors.push(invalid(at, path, "must not contain '..'"));
}

/** Where a volume's data are does not change, but for what a CSI driver is told. */
export function validateVolumeUpdate(next: PersistentVolume, old: PersistentVolume, errors: FieldError[]): void {
  const source = ({ spec }: PersistentVolume): unknown => {
    const of = sourcesOf(spec).map(key => [key, (spec as Record<string, unknown>)[key]]);
    const { controllerExpandSecretRef: _c, nodeExpandSecretRef: _n, ...csi } = spec?.csi ?? {};
    return { ...Object.fromEntries(of), ...(spec?.csi ? { csi } : {}) };
  };
  if (!deepEqual(source(next), source(old)))
    errors.push(forbidden('spec.persistentvolumesource', 'spec.persistentvolumesource is immutable after creation'));
  if (next.spec?.volumeMode !== old.spec?.volumeMode)
    errors.push(invalid('spec.volumeMode', next.spec?.volumeMode ?? null, immutableMessage));
  if (old.spec?.nodeAffinity && !deepEqual(next.spec?.nodeAffinity, old.spec.nodeAffinity))
    errors.push(invalid('spec.nodeAffinity', next.spec?.nodeAffinity ?? null, immutableMessage));
}

/** Source: pkg/apis/core/validation.ValidatePersistentVolumeClaimSpec. */
export function validateClaim({ spec }: PersistentVolumeClaim, errors: FieldError[]): void {
  validateLabelSelector(spec?.selector, 'spec.selector', errors);
  validateAccessModes(spec?.accessModes, errors);
  const storage = spec?.resources?.requests?.['storage'];
  if (!storage) errors.push(required('spec.resources[storage]'));
  validatePositive(storage, 'spec.resources[storage]', errors);
  validateName(spec?.storageClassName, dnsSubdomainProblem, 'spec.storageClassName', errors);
  validateChoice(spec?.volumeMode, volumeModes, 'spec.volumeMode', errors);
  for (const field of ['dataSource', 'dataSourceRef'] as const) {
    const source = spec?.[field];
    if (!source) continue;
    if (!source.name) errors.push(required(`spec.${field}.name`));
    if (!source.kind) errors.push(required(`spec.${field}.kind`));
    else if (!source.apiGroup && source.kind !== 'PersistentVolumeClaim')
      errors.push(
        invalid(`spec.${field}`, source.kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"),
      );
  }
}

/** A bound claim may ask for more, and for less again down to what it has; its class may be found later. */
export function validateClaimUpdate(
  next: PersistentVolumeClaim,
  old: PersistentVolumeClaim,
  errors: FieldError[],
): void {
  const { spec: after, status } = next;
  const { spec: before } = old;
  const isBound = old.status?.phase === 'Bound';
  const [asked, had] = [after?.resources?.requests?.['storage'], before?.resources?.requests?.['storage']];
  const rest = (spec: typeof after, keepsSize: boolean): unknown => ({
    ...spec,
    volumeAttributesClassName: undefined,
    volumeName: before?.volumeName ? spec?.volumeName : undefined,
    storageClassName: before?.storageClassName === undefined ? undefined : spec?.storageClassName,
    resources: keepsSize
      ? spec?.resources
      : { ...spec?.resources, requests: { ...spec?.resources?.requests, storage: '' } },
  });
  if (!deepEqual(rest(after, !isBound), rest(before, !isBound)))
    errors.push(
      forbidden(
        'spec',
        'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims',
      ),
    );
  else if (asked && had && parseNano(asked) < parseNano(had)) {
    const capacity = status?.capacity?.['storage'];
    if (!capacity || parseNano(asked) <= parseNano(capacity))
      errors.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'));
  }
}
