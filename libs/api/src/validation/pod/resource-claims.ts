import type { Container, PodSpec } from '../../types';
import { duplicate, invalid, notFound, required, type FieldError } from '../field-error';
import { validateName } from '../fields';
import { dnsLabelProblem, dnsSubdomainProblem } from '../names';

/** The names of a pod's claims, and how a message lists them. */
export interface PodClaims {
  names: ReadonlySet<string>;
  list: string;
}

/** The claims of a pod. Source: core validation validatePodResourceClaims. */
export function validatePodClaims(claims: PodSpec['resourceClaims'], path: string, errors: FieldError[]): PodClaims {
  const names = new Set<string>();
  for (const [index, claim] of (claims ?? []).entries()) {
    const at = `${path}[${index}]`;
    const { name, resourceClaimName, resourceClaimTemplateName } = claim;
    if (!name) errors.push(required(`${at}.name`));
    else if (names.has(name)) errors.push(duplicate(`${at}.name`, name));
    validateName(name, dnsLabelProblem, `${at}.name`, errors);
    if (name) names.add(name);
    const given = [resourceClaimName, resourceClaimTemplateName].filter(each => each !== undefined).length;
    if (given > 1)
      errors.push(
        invalid(at, claim, 'at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified'),
      );
    if (given === 0)
      errors.push(invalid(at, claim, 'must specify one of: `resourceClaimName`, `resourceClaimTemplateName`'));
    validateName(resourceClaimName, dnsSubdomainProblem, `${at}.resourceClaimName`, errors);
    validateName(resourceClaimTemplateName, dnsSubdomainProblem, `${at}.resourceClaimTemplateName`, errors);
  }
  return { names, list: names.size === 0 ? ' which is empty' : `: ${[...names].sort().join(', ')}` };
}

/** Which of them a container uses, whole or one request of each. Source: validateResourceClaimNames. */
export function validateContainerClaims(
  { resources }: Container,
  { names, list }: PodClaims,
  at: string,
  errors: FieldError[],
): void {
  const seen = new Set<string>();
  for (const [index, { name, request }] of (resources?.claims ?? []).entries()) {
    const path = `${at}.resources.claims[${index}]`;
    if (!name) {
      errors.push(required(`${path}.name`));
      continue;
    }
    const key = request ? `${name}/${request}` : name;
    if (seen.has(key) || seen.has(name)) errors.push(duplicate(path, key));
    seen.add(key);
    if (names.has(name)) continue;
    const detail = `must be one of the names in pod.spec.resourceClaims${list}`;
    errors.push({ ...notFound(`${path}.name`, name), detail });
  }
}
