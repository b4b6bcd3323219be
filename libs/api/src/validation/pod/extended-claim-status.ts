import type { Pod } from '../../types';
import { duplicate, invalid, required, type FieldError } from '../field-error';
import { validateName, validateRequiredName } from '../fields';
import { dnsLabelProblem, dnsSubdomainProblem } from '../names';

/** The claim that the scheduler has made for a pod's extended resources. Source: core validation validatePodExtendedResourceClaimStatus. */
export function validateExtendedClaimStatus({ spec, status }: Pod, errors: FieldError[]): void {
  const claim = status?.extendedResourceClaimStatus;
  if (!claim) return;
  const path = 'status.extendedResourceClaimStatus';
  const containers = new Map([...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].map(c => [c.name, c]));
  const mappings = claim.requestMappings ?? [];
  if (mappings.length === 0)
    errors.push(required(`${path}.requestMappings`, 'at least one request mapping is required'));
  const seen = new Set<string>();
  for (const [index, { containerName, resourceName, requestName }] of mappings.entries()) {
    const at = `${path}.requestMappings[${index}]`;
    const container = containers.get(containerName);
    if (!container) {
      const detail = 'must match the name of an entry in spec.initContainers.name or spec.containers.name';
      errors.push(invalid(`${at}.containerName`, containerName, detail));
    } else if (container.resources?.requests?.[resourceName] === undefined) {
      const places = 'spec.initContainers.resources.requests or spec.containers.resources.requests';
      const detail = `must match the extended resource name of an entry in ${places}`;
      errors.push(invalid(`${at}.resourceName`, resourceName, detail));
    }
    validateName(requestName, dnsLabelProblem, `${path}.requestName`, errors);
    const key = JSON.stringify([containerName, resourceName, requestName]);
    if (seen.has(key))
      for (const [field, value] of Object.entries({ containerName, resourceName, requestName }))
        errors.push(duplicate(`${at}.${field}`, value));
    seen.add(key);
  }
  validateRequiredName(claim.resourceClaimName, dnsSubdomainProblem, `${path}.resourceClaimName`, errors);
}
