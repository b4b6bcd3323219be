import { isIP } from 'node:net';
import type { Service } from '../types';
import { ipMessage } from './cidr';
import { duplicate, invalid, notSupported, required, type FieldError } from './field-error';

type ServiceSpec = NonNullable<Service['spec']>;

const families = ['IPv4', 'IPv6'];
const familyPolicies = ['PreferDualStack', 'RequireDualStack', 'SingleStack'];
const clusterIPs = 'spec.clusterIPs';
const onceSet = 'may not change once set';

/** clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy. Source: ValidateServiceClusterIPsRelatedFields. */
export function validateServiceAddresses(spec: ServiceSpec, errors: FieldError[]): void {
  const addresses = spec.clusterIPs ?? [];
  if (!spec.clusterIP && addresses.length > 0)
    errors.push(invalid(clusterIPs, addresses, 'must be empty when `clusterIP` is not specified'));
  else if (spec.clusterIP && addresses.length === 0) errors.push(required(clusterIPs));
  else if (spec.clusterIP && spec.clusterIP !== addresses[0])
    errors.push(invalid(clusterIPs, addresses, 'first value must match `clusterIP`'));
  validateFamilies(spec, errors);
  if (validateEach(addresses, errors)) validateTogether(spec, addresses, errors);
}

function validateFamilies({ ipFamilies = [], ipFamilyPolicy }: ServiceSpec, errors: FieldError[]): void {
  for (const [index, family] of ipFamilies.entries()) {
    const at = `spec.ipFamilies[${index}]`;
    if (!families.includes(family)) errors.push(notSupported(at, family, families));
    if (ipFamilies.indexOf(family) < index) errors.push(duplicate(at, family));
  }
  if (ipFamilyPolicy !== undefined && !familyPolicies.includes(ipFamilyPolicy))
    errors.push(notSupported('spec.ipFamilyPolicy', ipFamilyPolicy, familyPolicies));
}

/** False when an address is none: what more could be said would only confuse. */
function validateEach(addresses: readonly string[], errors: FieldError[]): boolean {
  const before = errors.length;
  for (const [index, address] of addresses.entries()) {
    if (index === 0 && address === 'None') {
      if (addresses.length > 1) errors.push(invalid(clusterIPs, addresses, "'None' must be the first and only value"));
    } else if (isIP(address) === 0) errors.push(invalid(`${clusterIPs}[${index}]`, address, ipMessage));
  }
  const valid = errors.length === before;
  if (addresses.length > 2) errors.push(invalid(clusterIPs, addresses, 'may only hold up to 2 values'));
  return valid;
}

function validateTogether(spec: ServiceSpec, addresses: readonly string[], errors: FieldError[]): void {
  if (addresses.length > 1 && new Set(addresses.map(isIP)).size < addresses.length)
    errors.push(invalid(clusterIPs, addresses, 'may specify no more than one IP for each IP family'));
  if (addresses[0] === 'None') return;
  for (const [index, address] of addresses.entries()) {
    const family = spec.ipFamilies?.[index];
    if ((family === 'IPv4' && isIP(address) !== 4) || (family === 'IPv6' && isIP(address) !== 6))
      errors.push(
        invalid(
          `${clusterIPs}[${index}]`,
          address,
          `expected an ${family} value as indicated by \`ipFamilies[${index}]\``,
        ),
      );
  }
}

/** What was given stays; whether a second family may come or go is for those to say who know the cluster's families. */
export function validateServiceUpdate(next: Service, old: Service, errors: FieldError[]): void {
  if (next.spec?.type === 'ExternalName' || old.spec?.type === 'ExternalName') return;
  const [before, after] = [old.spec?.clusterIPs ?? [], next.spec?.clusterIPs ?? []];
  for (const [index, address] of before.entries())
    if (after[index] !== undefined && after[index] !== address)
      errors.push(invalid(`${clusterIPs}[${index}]`, after, onceSet));
  if (before.length > 0 && after.length === 0)
    errors.push(invalid(`${clusterIPs}[0]`, after, 'primary clusterIP can not be unset'));
}
