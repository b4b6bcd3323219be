import { isIP } from 'node:net';
import type { Service } from '../types';
import { ipMessage } from './cidr';
import { forbidden, invalid, notSupported, required, type FieldError } from './field-error';
import { validateName } from './fields';
import { dnsSubdomainProblem } from './names';

const modes = ['Proxy', 'VIP'];
const points = 'status.loadBalancer.ingress';

/** Where a load balancer answers, of a Service or an Ingress. */
export function validateIngressPoints(
  ingress: readonly { ip?: string | undefined; hostname?: string | undefined }[] | undefined,
  errors: FieldError[],
): void {
  for (const [index, { ip, hostname }] of (ingress ?? []).entries()) {
    const at = `${points}[${index}]`;
    if (ip && isIP(ip) === 0) errors.push(invalid(`${at}.ip`, ip, ipMessage));
    if (hostname && isIP(hostname) !== 0)
      errors.push(invalid(`${at}.hostname`, hostname, 'must be a DNS name, not an IP address'));
    else validateName(hostname, dnsSubdomainProblem, `${at}.hostname`, errors);
  }
}

/** Source: pkg/apis/core/validation.ValidateLoadBalancerStatus. */
export function validateServiceStatus({ spec, status }: Service, errors: FieldError[]): void {
  const ingress = status?.loadBalancer?.ingress ?? [];
  if (spec?.type !== 'LoadBalancer') {
    if (ingress.length > 0) errors.push(forbidden(points, 'may only be used when `spec.type` is "LoadBalancer"'));
    return;
  }
  validateIngressPoints(ingress, errors);
  for (const [index, { ip, ipMode }] of ingress.entries()) {
    const at = `${points}[${index}].ipMode`;
    if (ip && ipMode === undefined) errors.push(required(at, 'must be specified when `ip` is set'));
    if (!ip && ipMode !== undefined) errors.push(forbidden(at, 'may not be specified when `ip` is not set'));
    else if (ipMode !== undefined && !modes.includes(ipMode)) errors.push(notSupported(at, ipMode, modes));
  }
}
