import type { APIService } from '../types';
import { forbidden, invalid, required, type FieldError } from './field-error';
import { validateName, validateRequiredName } from './fields';
import { dns1035Problem, dnsSubdomainProblem } from './names';

const maxGroupPriority = 20_000;
const maxVersionPriority = 1_000;

/** Source: kube-aggregator pkg/apis/apiregistration/validation. */
export function validateApiService({ metadata, spec }: APIService, errors: FieldError[]): void {
  const { group = '', version = '', groupPriorityMinimum = 0, versionPriority = 0, service } = spec ?? {};
  const name = `${version}.${group}`;
  if (metadata?.name && metadata.name !== name)
    errors.push(
      invalid('metadata.name', metadata.name, `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(name)}`),
    );
  if (group === '' && version !== 'v1')
    errors.push(required('spec.group', 'only v1 may have an empty group and it better be legacy kube'));
  validateName(group, dnsSubdomainProblem, 'spec.group', errors);
  validateRequiredName(version, dns1035Problem, 'spec.version', errors);
  if (groupPriorityMinimum <= 0 || groupPriorityMinimum > maxGroupPriority)
    errors.push(
      invalid('spec.groupPriorityMinimum', groupPriorityMinimum, `must be positive and less than ${maxGroupPriority}`),
    );
  if (versionPriority <= 0 || versionPriority > maxVersionPriority)
    errors.push(
      invalid('spec.versionPriority', versionPriority, `must be positive and less than ${maxVersionPriority}`),
    );
  const { insecureSkipTLSVerify, caBundle } = spec ?? {};
  if (!service) {
    if (caBundle)
      errors.push(invalid('spec.caBundle', `${caBundle.length} bytes`, 'local APIServices may not have a caBundle'));
    if (insecureSkipTLSVerify)
      errors.push(invalid('spec.insecureSkipTLSVerify', true, 'local APIServices may not have insecureSkipTLSVerify'));
    return;
  }
  if (!service.namespace) errors.push(required('spec.service.namespace'));
  if (!service.name) errors.push(required('spec.service.name'));
  if (service.port !== undefined && (service.port < 1 || service.port > 65535))
    errors.push(
      invalid('spec.service.port', service.port, 'port is not valid: must be between 1 and 65535, inclusive'),
    );
  if (insecureSkipTLSVerify && caBundle)
    errors.push(forbidden('spec.insecureSkipTLSVerify', 'may not be true if caBundle is present'));
}
