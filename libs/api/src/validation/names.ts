// Source of the grammar and the wording: apimachinery util/validation.

const dns1123Label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const dns1123Subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const dns1035Label = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const qualifiedNamePart = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;
const labelValue = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const portName = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const envVarName = /^[ -<>-~]+$/;
const configMapKey = /^[-._a-zA-Z0-9]+$/;

/** Answers what is wrong, or undefined for a good one. */
export type NameRule = (name: string) => string | undefined;

const tooLong = (max: number): string => `must be no more than ${max} bytes`;

function regexProblem(text: string, pattern: string, ...examples: string[]): string {
  const shown = examples.map(e => `'${e}'`).join(',  or ');
  return `${text} (${shown === '' ? '' : `e.g. ${shown}, `}regex used for validation is '${pattern}')`;
}

const dns1123LabelProblem = regexProblem(
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  '[a-z0-9]([-a-z0-9]*[a-z0-9])?',
  'my-name',
  '123-abc',
);
const dns1123SubdomainProblem = regexProblem(
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*',
  'example.com',
);
const dns1035LabelProblem = regexProblem(
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
  '[a-z]([-a-z0-9]*[a-z0-9])?',
  'my-name',
  'abc-123',
);
const labelValueText = regexProblem(
  "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?',
  'MyValue',
  'my_value',
  '12345',
);
const namePartText = regexProblem(
  "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]',
  'MyName',
  'my.name',
  '123-abc',
);
const configMapKeyText = regexProblem(
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
  '[-._a-zA-Z0-9]+',
  'key.name',
  'KEY_NAME',
  'key-name',
);

export const dnsLabelProblem: NameRule = name =>
  name.length > 63 ? tooLong(63) : dns1123Label.test(name) ? undefined : dns1123LabelProblem;

export const dnsSubdomainProblem: NameRule = name =>
  name.length > 253 ? tooLong(253) : dns1123Subdomain.test(name) ? undefined : dns1123SubdomainProblem;

/** Names of Services. */
export const dns1035Problem: NameRule = name =>
  name.length > 63 ? tooLong(63) : dns1035Label.test(name) ? undefined : dns1035LabelProblem;

/** RBAC names and the like: anything that can stand in a URL's path. */
/** Upstream knows no limit; names are parts of keys in the store, which are not endless. */
const maxSegmentLength = 1024;

export const pathSegmentProblem: NameRule = name => {
  if (name === '.' || name === '..') return `may not be '${name}'`;
  if (name.length > maxSegmentLength) return `must be no more than ${maxSegmentLength} characters`;
  for (const character of ['/', '%']) if (name.includes(character)) return `may not contain '${character}'`;
  return undefined;
};

export const labelValueProblem: NameRule = value => {
  if (value.length > 63) return tooLong(63);
  return labelValue.test(value) ? undefined : labelValueText;
};

/** A label or annotation key, a finalizer, a taint key, a resource name: [prefix/]name. */
export const qualifiedNameProblem: NameRule = key => {
  const slash = key.indexOf('/');
  const name = key.slice(slash + 1);
  if (slash >= 0) {
    if (name.includes('/')) return 'a qualified name must have at most one "/" with an optional DNS subdomain prefix';
    const prefix = key.slice(0, slash);
    if (prefix === '') return 'prefix part must be non-empty';
    const problem = dnsSubdomainProblem(prefix);
    if (problem) return `prefix part ${problem}`;
  }
  if (name === '') return 'name part must be non-empty';
  if (name.length > 63) return `name part ${tooLong(63)}`;
  return qualifiedNamePart.test(name) ? undefined : namePartText;
};

/** A container port's name. */
export const portNameProblem: NameRule = name => {
  if (name.length > 15) return 'must be no more than 15 characters';
  if (!/[a-z]/.test(name)) return 'must contain at least one letter (a-z)';
  if (name.includes('--')) return 'must not contain consecutive hyphens';
  if (portName.test(name)) return undefined;
  return /^-|-$/.test(name)
    ? 'must not begin or end with a hyphen'
    : 'must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)';
};

export const envVarNameProblem: NameRule = name =>
  envVarName.test(name)
    ? undefined
    : "a valid environment variable name must consist only of printable ASCII characters other than '='";

/** Keys of ConfigMaps and Secrets. */
export const configKeyProblem: NameRule = key => {
  if (key.length > 253) return tooLong(253);
  if (!configMapKey.test(key)) return configMapKeyText;
  if (key === '.' || key === '..') return `must not be '${key}'`;
  return key.startsWith('..') ? "must not start with '..'" : undefined;
};

export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65535;
}

export const portRangeMessage = 'must be between 1 and 65535, inclusive';

const wildcardText = regexProblem(
  "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
  '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*',
  '*.example.com',
);

/** "*.example.com" */
export const wildcardSubdomainProblem: NameRule = name =>
  name.startsWith('*.') && dns1123Subdomain.test(name.slice(2)) ? undefined : wildcardText;

const pathCharacters = /^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/;

/** "acme.io/foo" */
export const domainPrefixedPathProblem: NameRule = path => {
  const slash = path.indexOf('/');
  if (slash <= 0 || slash === path.length - 1) return 'must be a domain-prefixed path (such as "acme.io/foo")';
  return (
    dnsSubdomainProblem(path.slice(0, slash)) ??
    (pathCharacters.test(path.slice(slash + 1))
      ? undefined
      : regexProblem('Invalid path', "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+"))
  );
};
