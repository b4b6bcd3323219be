import { isIP } from 'node:net';
import { canonicalAddress, parseBlock } from '@naru/foundation';
import { deepEqual } from '../deep-equal';
import { ipAddresses, serviceCIDRs } from '../resource';
import { text } from '../table/columns';
import type { IPAddress, ServiceCIDR } from '../types';
import { validateCidr } from '../validation/cidr';
import { invalid, required, tooMany, type FieldError } from '../validation/field-error';
import { validateName, validateRequiredName } from '../validation/fields';
import { dnsSubdomainProblem, pathSegmentProblem } from '../validation/names';
import { immutableMessage } from '../validation/workload';
import { defineKind } from './define-kind';

/** One of each family. */
const maxCidrs = 2;

function validate({ spec }: ServiceCIDR, errors: FieldError[]): void {
  const path = 'spec.cidrs';
  const cidrs = spec?.cidrs ?? [];
  if (cidrs.length === 0) errors.push(required(path, 'at least one CIDR required'));
  else if (cidrs.length > maxCidrs) errors.push(tooMany(path, cidrs.length, maxCidrs));
  for (const [index, cidr] of cidrs.entries()) {
    const parsed = validateCidr(cidr, `${path}[${index}]`, errors);
    if (parsed && !parsed.isCanonical)
      errors.push(
        invalid(`${path}[${index}]`, cidr, 'must be in canonical form: its address must be the first of the block'),
      );
  }
  const [first, second] = cidrs.map(parseBlock);
  if (first && second && first.family === second.family)
    errors.push(
      invalid(path, cidrs, 'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64'),
    );
}

/** A second family may be added to one that has only the first. */
function validateUpdate(next: ServiceCIDR, old: ServiceCIDR, errors: FieldError[]): void {
  const [before = [], after = []] = [old.spec?.cidrs, next.spec?.cidrs];
  const isUpgrade = before.length === 1 && after.length === maxCidrs && before[0] === after[0];
  if (!isUpgrade && !deepEqual(before, after)) errors.push(invalid('spec.cidrs', after, immutableMessage));
}

export const serviceCIDRKind = defineKind(serviceCIDRs, {
  subresources: { status: true },
  validate,
  validateUpdate,
  columns: [text('CIDRs', 'The ranges of Service addresses.', o => (o.spec?.cidrs ?? []).join(','))],
});

/** "services/default/kubernetes" */
function parentOf({ spec }: IPAddress): string {
  const { group, resource, namespace, name } = spec?.parentRef ?? {};
  return [group ? `${resource}.${group}` : resource, namespace, name].filter(part => part).join('/');
}

/** An address has many spellings, and its object one name. */
function addressNameProblem(name: string): string | undefined {
  const family = isIP(name);
  if (family === 4 || (family === 6 && canonicalAddress(name) === name)) return undefined;
  return 'must be an IP address in canonical form (RFC 5952)';
}

function validateAddress({ spec }: IPAddress, errors: FieldError[]): void {
  const path = 'spec.parentRef';
  const parent = spec?.parentRef;
  if (!parent) {
    errors.push(required(path));
    return;
  }
  validateName(parent.group, dnsSubdomainProblem, `${path}.group`, errors);
  validateRequiredName(parent.resource, pathSegmentProblem, `${path}.resource`, errors);
  validateRequiredName(parent.name, pathSegmentProblem, `${path}.name`, errors);
  validateName(parent.namespace, pathSegmentProblem, `${path}.namespace`, errors);
}

export const ipAddressKind = defineKind(ipAddresses, {
  shortNames: ['ip'],
  nameRule: addressNameProblem,
  validate: validateAddress,
  validateUpdate: (next, old, errors) => {
    if (!deepEqual(next.spec?.parentRef, old.spec?.parentRef))
      errors.push(invalid('spec.parentRef', next.spec?.parentRef, immutableMessage));
  },
  columns: [text('ParentRef', 'The object that holds the address.', parentOf)],
});
