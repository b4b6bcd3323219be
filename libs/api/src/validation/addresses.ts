import { isIP } from 'node:net';
import { invalid, type FieldError } from './field-error';

/** An address that endpoints may have: not loopback, link-local, multicast or unspecified. */
export function validateAddress(address: string, path: string, errors: FieldError[], family?: 4 | 6): void {
  const actual = isIP(address);
  if (actual === 0) {
    errors.push(invalid(path, address, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
    return;
  }
  if (family && actual !== family) errors.push(invalid(path, address, `must be an IPv${family} address`));
  const problem = specialAddressProblem(address);
  if (problem) errors.push(invalid(path, address, problem));
}

function specialAddressProblem(address: string): string | undefined {
  if (address === '0.0.0.0' || address === '::') return 'may not be unspecified (0.0.0.0 or ::)';
  if (address.startsWith('127.') || address === '::1') return 'may not be in the loopback range (127.0.0.0/8, ::1/128)';
  if (address.startsWith('169.254.') || /^fe[89ab]/i.test(address))
    return 'may not be in the link-local range (169.254.0.0/16, fe80::/10)';
  if (address.startsWith('224.0.0.') || /^ff02/i.test(address))
    return 'may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)';
  return undefined;
}
