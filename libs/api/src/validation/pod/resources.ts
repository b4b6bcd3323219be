import { parseNano } from '../../quantity';
import type { Container } from '../../types';
import { forbidden, invalid, required, type FieldError } from '../field-error';
import { qualifiedNameProblem } from '../names';

export type Resources = NonNullable<Container['resources']>;
/** Says what is wrong with the name of a resource, at its path. */
export type ResourceNameRule = (name: string, path: string, errors: FieldError[]) => void;

const standard = new Set(['cpu', 'memory', 'ephemeral-storage']);
const hugePages = 'hugepages-';

/** Amounts of what Kubernetes itself knows; only of these, and not of huge pages, more may be promised than there is. */
function mayBeOvercommitted(name: string): boolean {
  return (!name.includes('/') || name.includes('kubernetes.io/')) && !name.startsWith(hugePages);
}

/** Source: core validation validateContainerResourceName. */
const containerResourceName: ResourceNameRule = (name, path, errors) => {
  const problem = qualifiedNameProblem(name);
  if (problem) errors.push(invalid(path, name, problem));
  else if (!standard.has(name) && !name.startsWith(hugePages) && !name.includes('/'))
    errors.push(invalid(path, name, 'must be a standard resource for containers'));
};

/** Names and amounts of requests and limits; a request may not exceed its limit. Source: validateResourceRequirements. */
export function validateResources(
  resources: Resources | undefined,
  path: string,
  errors: FieldError[],
  nameRule = containerResourceName,
): void {
  if (!resources) return;
  const { limits = {}, requests = {} } = resources;
  for (const [name, amount] of Object.entries(limits)) checkAmount(name, amount, `${path}.limits`, errors, nameRule);
  for (const [name, request] of Object.entries(requests)) {
    const before = errors.length;
    checkAmount(name, request, `${path}.requests`, errors, nameRule);
    const limit = limits[name];
    if (errors.length > before) continue;
    if (limit === undefined) {
      if (!mayBeOvercommitted(name))
        errors.push(required(`${path}.limits`, 'Limit must be set for non overcommitable resources'));
      continue;
    }
    const difference = parseNano(request) - parseNano(limit);
    if (difference !== 0n && !mayBeOvercommitted(name))
      errors.push(invalid(`${path}.requests`, request, `must be equal to ${name} limit of ${limit}`));
    else if (difference > 0n)
      errors.push(invalid(`${path}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`));
  }
  const names = [...Object.keys(limits), ...Object.keys(requests)];
  if (names.some(name => name.startsWith(hugePages)) && !names.includes('cpu') && !names.includes('memory'))
    errors.push(forbidden(path, 'HugePages require cpu or memory'));
}

function checkAmount(
  name: string,
  amount: string,
  path: string,
  errors: FieldError[],
  nameRule: ResourceNameRule,
): void {
  const at = `${path}[${name}]`;
  nameRule(name, at, errors);
  const value = parseNano(amount);
  if (value < 0n) errors.push(invalid(at, amount, 'must be greater than or equal to 0'));
  else if (name.includes('/') && value % 1_000_000_000n !== 0n) errors.push(invalid(at, amount, 'must be an integer'));
  else if (name.startsWith(hugePages)) checkHugePages(name, amount, value, at, errors);
}

function checkHugePages(name: string, amount: string, value: bigint, path: string, errors: FieldError[]): void {
  let size = 0n;
  try {
    size = parseNano(name.slice(hugePages.length));
  } catch {
    // Not a size: the name is wrong, and no amount of it can be right.
  }
  if (size <= 0n || value % size !== 0n)
    errors.push(invalid(path, amount, `${amount} is not positive integer multiple of ${name}`));
}
