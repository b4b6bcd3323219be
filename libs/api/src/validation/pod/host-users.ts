import type { Container, PodSpec } from '../../types';
import { forbidden, invalid, notSupported, type FieldError } from '../field-error';

const procMounts = ['Default', 'Unmasked'];

/**
 * What a pod with a user namespace of its own (`hostUsers: false`) may not share with the node, and what only such a pod may have. Source:
 * pkg/apis/core/validation validateHostUsers and validateProcMount.
 */
export function validateHostUsers(spec: PodSpec, path: string, errors: FieldError[]): void {
  const why = 'when `hostUsers` is false';
  if (spec.hostUsers === false) {
    for (const field of ['hostNetwork', 'hostPID', 'hostIPC'] as const)
      if (spec[field]) errors.push(forbidden(`${path}.${field}`, why));
  }
  for (const list of ['containers', 'initContainers', 'ephemeralContainers'] as const)
    for (const [index, container] of ((spec[list] ?? []) as Container[]).entries()) {
      const at = `${path}.${list}[${index}]`;
      if (spec.hostUsers === false && container.volumeDevices?.length)
        errors.push(forbidden(`${at}.volumeDevices`, why));
      validateProcMount(container.securityContext?.procMount, spec.hostUsers, at, errors);
    }
}

function validateProcMount(
  procMount: string | undefined,
  hostUsers: boolean | undefined,
  at: string,
  errors: FieldError[],
): void {
  if (procMount === undefined) return;
  const field = `${at}.securityContext.procMount`;
  if (!procMounts.includes(procMount)) errors.push(notSupported(field, procMount, procMounts));
  else if (procMount === 'Unmasked' && hostUsers !== false)
    errors.push(invalid(field, procMount, '`hostUsers` must be false to use `Unmasked`'));
}
