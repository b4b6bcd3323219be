import type { PodSpec } from '../../types';
import { duplicate, invalid, required, type FieldError } from '../field-error';

const segment = '[a-z0-9]([-_a-z0-9]*[a-z0-9])?';
const pattern = `^(${segment}[\\./])*${segment}$`;
const maxLength = 253;
const ofIpc = /^(kernel\.(shm|msg|sem)|fs\.mqueue\.)/;

/** Names of kernel parameters; whether a node lets a pod set one is the kubelet's decision. Source: core validation validateSysctls. */
export function validateSysctls(
  sysctls: readonly { name: string }[],
  { hostNetwork, hostIPC }: Pick<PodSpec, 'hostNetwork' | 'hostIPC'>,
  path: string,
  errors: FieldError[],
): void {
  const seen = new Set<string>();
  for (const [index, { name }] of sysctls.entries()) {
    const field = `${path}[${index}].name`;
    if (!name) errors.push(required(field));
    else if (name.length > maxLength || !new RegExp(pattern).test(name)) {
      errors.push(invalid(field, name, `must have at most ${maxLength} characters and match regex ${pattern}`));
    } else if (seen.has(name)) errors.push(duplicate(field, name));
    seen.add(name);
    const dotted = name.replaceAll('/', '.');
    if (hostNetwork && dotted.startsWith('net.'))
      errors.push(invalid(field, name, "may not be specified when 'hostNetwork' is true"));
    else if (hostIPC && ofIpc.test(dotted))
      errors.push(invalid(field, name, "may not be specified when 'hostIPC' is true"));
  }
}
