import { deepEqual } from '../../deep-equal';
import type { Container, Pod } from '../../types';
import { forbidden, notFound, type FieldError } from '../field-error';
import { validatePodClaims } from './resource-claims';
import { validateContainer, type PodContext } from './containers';

const path = 'spec.ephemeralContainers';
const mirrorAnnotation = 'kubernetes.io/config.mirror';
const unsupported = 'cannot be set for an Ephemeral Container';
/** What makes sense only for containers that the pod was planned with. */
const unavailable = [
  'ports',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
  'resizePolicy',
  'restartPolicy',
  'restartPolicyRules',
] as const;

/** What may be added to a running pod. Source: pkg/apis/core/validation.ValidatePodEphemeralContainersUpdate. */
export function validateEphemeralContainers(
  { spec: next, metadata }: Pod,
  { spec: old }: Pod,
  errors: FieldError[],
): void {
  const wanted = (next?.ephemeralContainers ?? []) as (Container & { targetContainerName?: string })[];
  const others = [...(next?.initContainers ?? []), ...(next?.containers ?? [])].map(({ name }) => name);
  const volumes = new Map((next?.volumes ?? []).map(volume => [volume.name, volume]));
  const claims = validatePodClaims(next?.resourceClaims, 'spec.resourceClaims', []);
  const context: PodContext = {
    ...{ volumes, claims, names: new Set(others), hostPorts: new Set(), hostNetwork: false },
    ...{ restartPolicy: next?.restartPolicy, graceSeconds: undefined },
  };
  if (metadata?.annotations?.[mirrorAnnotation] !== undefined)
    errors.push(forbidden('', 'static pods do not support ephemeral containers'));
  for (const [index, container] of wanted.entries()) {
    validateContainer(container, `${path}[${index}]`, context, errors);
    for (const [position, { subPath, subPathExpr }] of (container.volumeMounts ?? []).entries())
      for (const [field, used] of Object.entries({ subPath, subPathExpr }))
        if (used) errors.push(forbidden(`${path}[${index}].volumeMounts[${position}].${field}`, unsupported));
    for (const field of unavailable)
      if (container[field] !== undefined) errors.push(forbidden(`${path}[${index}].${field}`, unsupported));
    if (Object.keys(container.resources ?? {}).length > 0)
      errors.push(forbidden(`${path}[${index}].resources`, unsupported));
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
