import { isIP } from 'node:net';
import type { PodSpec } from '../../types';
import { forbidden, invalid, required, tooLong, type FieldError } from '../field-error';
import { validateName } from '../fields';
import { dnsLabelProblem, dnsSubdomainProblem } from '../names';

const maxNameservers = 3;
const maxSearches = 32;
const maxSearchCharacters = 2048;
const maxHostnameLength = 64;
const notAnAddress = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';

/** What a pod is called, and how it finds others. Source: core validation validatePodDNSConfig, ValidateHostAliases, ValidatePodSpec. */
export function validateNameResolution(spec: PodSpec, path: string, errors: FieldError[]): void {
  validateName(spec.hostname, dnsLabelProblem, `${path}.hostname`, errors);
  validateName(spec.subdomain, dnsLabelProblem, `${path}.subdomain`, errors);
  validateOverride(spec, path, errors);
  validateDnsConfig(spec, `${path}.dnsConfig`, errors);
  for (const [index, { ip, hostnames }] of (spec.hostAliases ?? []).entries()) {
    const at = `${path}.hostAliases[${index}]`;
    if (isIP(ip) === 0) errors.push(invalid(`${at}.ip`, ip, notAnAddress));
    for (const [position, name] of (hostnames ?? []).entries()) {
      const problem = dnsSubdomainProblem(name);
      if (problem) errors.push(invalid(`${at}.hostnames[${position}]`, name, problem));
    }
  }
}

function validateOverride(spec: PodSpec, path: string, errors: FieldError[]): void {
  const { hostnameOverride: name, hostNetwork, setHostnameAsFQDN } = spec;
  if (!name) return;
  const at = `${path}.hostnameOverride`;
  if (name.length > maxHostnameLength) errors.push(tooLong(at, maxHostnameLength));
  validateName(name, dnsSubdomainProblem, at, errors);
  if (hostNetwork) errors.push(forbidden(at, 'may not be specified when hostNetwork is true'));
  if (setHostnameAsFQDN) errors.push(forbidden(at, 'may not be specified when setHostnameAsFQDN is true'));
}

/** Names of services have underscores, one before a label too; a dot alone is the root. Source: IsDNS1123SubdomainWithUnderscore. */
function withoutUnderscores(search: string): string {
  return search.replace(/(^|\.)_(?=[a-z0-9])/g, '$1a').replaceAll('_', '-');
}

function validateDnsConfig({ dnsPolicy, dnsConfig }: PodSpec, path: string, errors: FieldError[]): void {
  const { nameservers = [], searches = [], options = [] } = dnsConfig ?? {};
  if (dnsPolicy === 'None' && !dnsConfig) {
    errors.push(required(path, 'must provide `dnsConfig` when `dnsPolicy` is None'));
  } else if (dnsPolicy === 'None' && nameservers.length === 0) {
    const why = 'must provide at least one DNS nameserver when `dnsPolicy` is None';
    errors.push(required(`${path}.nameservers`, why));
  }
  if (nameservers.length > maxNameservers)
    errors.push(invalid(`${path}.nameservers`, nameservers, `must not have more than ${maxNameservers} nameservers`));
  for (const [index, server] of nameservers.entries())
    if (isIP(server) === 0) errors.push(invalid(`${path}.nameservers[${index}]`, server, notAnAddress));
  const tooMany = (what: string): FieldError =>
    invalid(`${path}.searches`, searches, `must not have more than ${what}`);
  if (searches.length > maxSearches) errors.push(tooMany(`${maxSearches} search paths`));
  if (searches.join(' ').length > maxSearchCharacters)
    errors.push(tooMany(`${maxSearchCharacters} characters (including spaces) in the search list`));
  for (const [index, search] of searches.entries()) {
    const problem = search === '.' ? undefined : dnsSubdomainProblem(withoutUnderscores(search.replace(/\.$/, '')));
    if (problem) errors.push(invalid(`${path}.searches[${index}]`, search, problem));
  }
  for (const [index, { name }] of options.entries())
    if (!name) errors.push(required(`${path}.options[${index}]`, 'must not be empty'));
}
