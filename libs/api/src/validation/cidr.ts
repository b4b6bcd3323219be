import { addressBits, parseBlock, type IpBlock } from '@naru/foundation';
import { invalid, required, type FieldError } from './field-error';

export const ipMessage = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)';
export const cidrMessage = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)';

/** True when every address of `inner` is one of `outer`, and not the other way round. */
export function isStrictSubset(inner: IpBlock, outer: IpBlock): boolean {
  if (inner.family !== outer.family || inner.bits <= outer.bits) return false;
  const host = BigInt(addressBits[outer.family] - outer.bits);
  return inner.base >> host === outer.base >> host;
}

export function validateCidr(text: string | undefined, path: string, errors: FieldError[]): IpBlock | undefined {
  if (!text) errors.push(required(path));
  const cidr = parseBlock(text ?? '');
  if (text && !cidr) errors.push(invalid(path, text, cidrMessage));
  return cidr;
}
