import { deepEqual } from '../../deep-equal';
import type { Container, Pod } from '../../types';
import { forbidden, notFound, type FieldError } from '../field-error';
import { validateContainers } from './containers';

const path = 'spec.ephemeralContainers';
/** What makes sense only for containers that the pod was planned with. */
const unavailable = [
  'ports',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
  'resizePolicy',
  'restartPolicy',
] as const;

/** What may be added to a running pod. Source: pkg/apis/core/validation.ValidatePodEphemeralContainersUpdate. */
export function validateEphemeralContainers({ spec: next }: Pod, { spec: old }: Pod, errors: FieldError[]): void {
  const wanted = (next?.ephemeralContainers ?? []) as (Container & { targetContainerName?: string })[];
  const others = [...(next?.initContainers ?? []), ...(next?.containers ?? [])].map(({ name }) => name);
  const volumes = new Map((next?.volumes ?? []).map(volume => [volume.name, volume]));
  const context = { volumes, names: new Set(others), hostPorts: new Set<string>(), hostNetwork: false };
  validateContainers(wanted, path, context, errors);
  for (const [index, container] of wanted.entries()) {
    for (const field of unavailable)
      if (container[field] !== undefined)
        errors.push(forbidden(`${path}[${index}].${field}`, 'cannot be set for an Ephemeral Container'));
    if (Object.keys(container.resources ?? {}).length > 0)
      errors.push(forbidden(`${path}[${index}].resources`, 'cannot be set for an Ephemeral Container'));
    const target = container.targetContainerName;
    if (target && !others.includes(target)) errors.push(notFound(`${path}[${index}].targetContainerName`, target));
  }
  for (const before of old?.ephemeralContainers ?? []) {
    const now = wanted.find(({ name }) => name === before.name);
    if (!now)
      errors.push(forbidden(path, `existing ephemeral containers ${JSON.stringify(before.name)} may not be removed`));
    else if (!deepEqual(now, before))
      errors.push(forbidden(path, `existing ephemeral containers ${JSON.stringify(before.name)} may not be changed`));
  }
}
