import { familyOf } from '@naru/foundation';
import { invalid, invalidObject, services, type FieldError, type Service } from '@naru/api';

export type Family = 'IPv4' | 'IPv6';

type ServiceSpec = NonNullable<Service['spec']>;

const policyField = 'spec.ipFamilyPolicy';
const twoNeeded = (what: string): string =>
  `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`;

export function otherFamily(family: string): Family {
  return family === 'IPv4' ? 'IPv6' : 'IPv4';
}

/** Of an address or a block. */
export function familyName(address: string): Family {
  return familyOf(address) === 6 ? 'IPv6' : 'IPv4';
}

const isHeadless = (spec: ServiceSpec): boolean => spec.clusterIPs?.[0] === 'None';
const same = (a: readonly string[] | undefined, b: readonly string[] | undefined): boolean =>
  (a ?? []).join() === (b ?? []).join();
const isReduced = (next: readonly string[] | undefined, old: readonly string[] | undefined): boolean =>
  next?.length === 1 && old?.length === 2;

/**
 * Sets ipFamilyPolicy and ipFamilies of a Service where a client left them open, of the families that the cluster has
 * (its own first). Says what does not go together. Source: initIPFamilyFields.
 * @throws StatusError Invalid
 */
export function setFamilies(service: Service, before: Service | undefined, configured: readonly Family[]): void {
  const { spec } = service;
  if (!spec || spec.type === 'ExternalName' || keepsPreference(spec, before?.spec)) return;
  const old = before?.spec;
  const errors: FieldError[] = [];
  const fail = (): void => {
    if (errors.length > 0) throw invalidObject(services, service.metadata?.name ?? '', errors);
  };
  const isBare = isHeadless(spec) && Object.keys(spec.selector ?? {}).length === 0;
  spec.ipFamilyPolicy ??= old?.ipFamilyPolicy ?? (isBare ? 'RequireDualStack' : 'SingleStack');
  if (old) reduce(spec, old, errors);
  if (spec.ipFamilyPolicy === 'SingleStack') {
    if (spec.clusterIPs?.length === 2) errors.push(invalid(policyField, spec.ipFamilyPolicy, twoNeeded('cluster IPs')));
    if (spec.ipFamilies?.length === 2) errors.push(invalid(policyField, spec.ipFamilyPolicy, twoNeeded('IP families')));
  }
  inferFamilies(spec, configured, errors);
  fail();
  // Endpoints without a selector are somebody else's: of whichever family, whatever the cluster has.
  if (!isBare) checkConfigured(spec, configured, errors);
  fail();
  const [own = 'IPv4'] = configured;
  const families = (spec.ipFamilies = spec.ipFamilies?.length ? spec.ipFamilies : [own]);
  if (spec.ipFamilyPolicy !== 'SingleStack' && families.length === 1 && (isBare || configured.length === 2))
    families.push(otherFamily(families[0]!));
}

/** A Service that prefers two families gets the second when somebody asks for it, not because the cluster came to have it. */
function keepsPreference(spec: ServiceSpec, old: ServiceSpec | undefined): boolean {
  return (
    old !== undefined &&
    old.type === spec.type &&
    spec.ipFamilyPolicy === 'PreferDualStack' &&
    old.ipFamilyPolicy === 'PreferDualStack' &&
    same(old.clusterIPs, spec.clusterIPs) &&
    same(old.ipFamilies, spec.ipFamilies)
  );
}

/** SingleStack gives up the second of what was left as it was; nothing else may. */
function reduce(spec: ServiceSpec, old: ServiceSpec, errors: FieldError[]): void {
  if (spec.ipFamilyPolicy === 'SingleStack') {
    if (same(old.clusterIPs, spec.clusterIPs) && spec.clusterIPs) spec.clusterIPs = spec.clusterIPs.slice(0, 1);
    if (same(old.ipFamilies, spec.ipFamilies) && spec.ipFamilies) spec.ipFamilies = spec.ipFamilies.slice(0, 1);
    return;
  }
  const release = (what: string): string => `must be 'SingleStack' to release the secondary ${what}`;
  if (isReduced(spec.clusterIPs, old.clusterIPs))
    errors.push(invalid(policyField, spec.ipFamilyPolicy, release('cluster IP')));
  if (isReduced(spec.ipFamilies, old.ipFamilies))
    errors.push(invalid(policyField, spec.ipFamilyPolicy, release('IP family')));
}

function inferFamilies(spec: ServiceSpec, configured: readonly Family[], errors: FieldError[]): void {
  if (isHeadless(spec)) return;
  const families = [...(spec.ipFamilies ?? [])];
  for (const [index, address] of (spec.clusterIPs ?? []).entries()) {
    if (index < families.length) continue;
    const family = familyName(address);
    if (configured.includes(family)) families.push(family);
    else
      errors.push(invalid(`spec.clusterIPs[${index}]`, spec.clusterIPs, `${family} is not configured on this cluster`));
  }
  if (families.length > 0) spec.ipFamilies = families;
}

function checkConfigured(spec: ServiceSpec, configured: readonly Family[], errors: FieldError[]): void {
  if (spec.ipFamilyPolicy === 'RequireDualStack' && configured.length < 2)
    errors.push(invalid(policyField, spec.ipFamilyPolicy, 'this cluster is not configured for dual-stack services'));
  for (const [index, family] of (spec.ipFamilies ?? []).entries())
    if (!configured.includes(family as Family))
      errors.push(invalid(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster'));
}
