import { parseNano } from '../../quantity';
import type { Container } from '../../types';
import { invalid, required, type FieldError } from '../field-error';
import { qualifiedNameProblem } from '../names';

const standard = new Set(['cpu', 'memory', 'ephemeral-storage', 'storage']);

function isKnownContainerResource(name: string): boolean {
  return standard.has(name) || name.startsWith('hugepages-') || name.includes('/');
}

/** Names and amounts of requests and limits; a request may not exceed its limit. */
export function validateResources(resources: Container['resources'], path: string, errors: FieldError[]): void {
  if (!resources) return;
  const limits = resources.limits ?? {};
  for (const name in limits) checkAmount(name, limits[name], `${path}.limits`, errors);
  for (const name in resources.requests) {
    const request = resources.requests[name];
    const before = errors.length;
    checkAmount(name, request, `${path}.requests`, errors);
    const limit = limits[name];
    if (errors.length > before || request === undefined || limit === undefined) continue;
    const difference = parseNano(request) - parseNano(limit);
    if (difference > 0n)
      errors.push(invalid(`${path}.requests`, request, `must be less than or equal to ${name} limit of ${limit}`));
    else if (difference !== 0n && !standard.has(name))
      errors.push(invalid(`${path}.requests`, request, `must be equal to ${name} limit of ${limit}`));
  }
  for (const name in limits) {
    if (!standard.has(name) && resources.requests?.[name] === undefined && name.startsWith('hugepages-'))
      errors.push(required(`${path}.requests[${name}]`, 'must be specified with its limit'));
  }
}

function checkAmount(name: string, amount: string | undefined, path: string, errors: FieldError[]): void {
  const problem = qualifiedNameProblem(name);
  if (problem) errors.push(invalid(`${path}[${name}]`, name, problem));
  else if (!isKnownContainerResource(name))
    errors.push(invalid(`${path}[${name}]`, name, 'must be a standard resource for containers'));
  const value = amount === undefined ? 0n : parseNano(amount);
  if (value < 0n) errors.push(invalid(`${path}[${name}]`, amount, 'must be greater than or equal to 0'));
  else if (name.includes('/') && value % 1_000_000_000n !== 0n)
    errors.push(invalid(`${path}[${name}]`, amount, 'must be an integer'));
}
