import type { CSIDriver, CSINode } from '../types';
import { duplicate, invalid, notSupported, required, tooLong, type FieldError } from './field-error';
import { qualifiedNameProblem, dnsSubdomainProblem } from './names';

const maxNameLength = 63;
const maxNodeIdBytes = 192;
const fsGroupPolicies = ['File', 'None', 'ReadWriteOnceWithFSType'];
const lifecycleModes = ['Ephemeral', 'Persistent'];
const minTokenSeconds = 600;
const minUpdateSeconds = 10;

/** The name of a driver, which is also part of labels and paths. Source: pkg/apis/core/validation.ValidateCSIDriverName. */
export function validateDriverName(name: string | undefined, path: string, errors: FieldError[]): void {
  if (!name) {
    errors.push(required(path));
    return;
  }
  if (name.length > maxNameLength) errors.push(tooLong(path, maxNameLength));
  const problem = dnsSubdomainProblem(name.toLowerCase());
  if (problem) errors.push(invalid(path, name, problem));
}

export function validateDriver({ metadata, spec }: CSIDriver, errors: FieldError[]): void {
  if (metadata?.name) validateDriverName(metadata.name, 'metadata.name', errors);
  const policy = spec?.fsGroupPolicy;
  if (policy !== undefined && !fsGroupPolicies.includes(policy))
    errors.push(notSupported('spec.fsGroupPolicy', policy, fsGroupPolicies));
  for (const mode of spec?.volumeLifecycleModes ?? [])
    if (!lifecycleModes.includes(mode)) errors.push(notSupported('spec.volumeLifecycleModes', mode, lifecycleModes));
  const audiences = new Set<string>();
  for (const [index, { audience, expirationSeconds }] of (spec?.tokenRequests ?? []).entries()) {
    const at = `spec.tokenRequests[${index}]`;
    if (audiences.has(audience)) errors.push(duplicate(`${at}.audience`, audience));
    audiences.add(audience);
    if (expirationSeconds !== undefined && expirationSeconds < minTokenSeconds)
      errors.push(
        invalid(`${at}.expirationSeconds`, expirationSeconds, 'may not specify a duration less than 10 minutes'),
      );
  }
  const period = spec?.nodeAllocatableUpdatePeriodSeconds;
  if (period !== undefined && period < minUpdateSeconds)
    errors.push(
      invalid(
        'spec.nodeAllocatableUpdatePeriodSeconds',
        period,
        `must be greater than or equal to ${minUpdateSeconds} seconds`,
      ),
    );
}

export function validateNodeDrivers({ spec }: CSINode, errors: FieldError[]): void {
  const names = new Set<string>();
  for (const [index, driver] of (spec?.drivers ?? []).entries()) {
    const at = `spec.drivers[${index}]`;
    validateDriverName(driver.name, `${at}.name`, errors);
    if (names.has(driver.name)) errors.push(duplicate(`${at}.name`, driver.name));
    names.add(driver.name);
    if (!driver.nodeID) errors.push(required(`${at}.nodeID`));
    else if (Buffer.byteLength(driver.nodeID) > maxNodeIdBytes)
      errors.push(invalid(`${at}.nodeID`, driver.nodeID, `must be ${maxNodeIdBytes} characters or less`));
    const count = driver.allocatable?.count;
    if (count !== undefined && count < 0)
      errors.push(invalid(`${at}.allocatable.count`, count, 'must be greater than or equal to 0'));
    const keys = new Set<string>();
    for (const key of driver.topologyKeys ?? []) {
      if (key === '') errors.push(required(`${at}.topologyKeys`));
      const problem = key === '' ? undefined : qualifiedNameProblem(key);
      if (problem) errors.push(invalid(`${at}.topologyKeys`, key, problem));
      if (keys.has(key)) errors.push(duplicate(`${at}.topologyKeys`, key));
      keys.add(key);
    }
  }
}
